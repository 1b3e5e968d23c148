"""Time to refuse settings with many mistakes, from the text of a stack's file to the message."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import yaml

from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from stacks.documents import read_yaml
from stacks.parsing import parse
from stacks.partitions import registry_host
from stacks.problems import SettingsError

IMAGES = 2000
CHAIN = 1000
_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The median of the seconds, and the number of problems in the message."""

    name: str
    images: int
    seconds: float
    problems: int


def measure() -> list[Refusal]:
    """Measure each kind of wrong settings."""
    return [_measure(name, make, images) for name, (make, images) in _KINDS.items()]


def _misspelled(number: int) -> dict[str, Any]:
    """An image with a misspelled key, a wrong value, and a dependency on a misspelled image."""
    return {
        "name": f"image-{number:04}",
        "context": f"images/image-{number:04}",
        "contxt": ".",
        "timeout-minutes": 5,
        "depends-on": [f"imaeg-{number:04}"],
    }


def _contradicting(number: int) -> dict[str, Any]:
    """An image whose keys are valid one by one: above a ceiling, beyond a timeout, without its base."""
    return {
        "name": f"image-{number:04}",
        "context": f"images/image-{number:04}",
        "resources": {"memory": {"limit": "99Gi"}},
        "timeout-minutes": 500,
        "depends-on": [f"imaeg-{number:04}"],
    }


def _chained(number: int) -> dict[str, Any]:
    """An image that is built on the one before."""
    base = {"depends-on": [f"image-{number - 1:04}"]} if number else {}
    return {"name": f"image-{number:04}", "context": f"images/image-{number:04}", **base}


_KINDS: Mapping[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "three wrong keys per image": (_misspelled, IMAGES),
    "three contradictions per image": (_contradicting, IMAGES),
    "each image built on the one before": (_chained, CHAIN),
}


def _measure(name: str, make: Callable[[int], dict[str, Any]], images: int) -> Refusal:
    projects = [{"path": "platform/images", "images": [make(number) for number in range(images)]}]
    text = yaml.safe_dump({"cluster": {"name": "ci"}, "projects": projects}).encode()
    times, problems = [], 0
    for _ in range(_RUNS):
        started = time.perf_counter()
        problems = _refuse(text)
        times.append(time.perf_counter() - started)
    return Refusal(name=name, images=images, seconds=median(times), problems=problems)


def _refuse(text: bytes) -> int:
    source = "the benchmark's stack"
    try:
        settings = parse(read_yaml(text), source=source)
        host = registry_host("123456789012", "ap-east-1")
        generate(PipelineInputs(settings=settings, project=settings.projects[0], registry_host=host, source=source))
    except SettingsError as error:
        return len(error.problems) if str(error) else 0
    raise AssertionError("the settings are wrong, but were accepted")
