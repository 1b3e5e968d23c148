"""Time to generate and render pipelines, and their size."""

import time
from dataclasses import dataclass
from statistics import median

from benchmarks.stack import stack_config
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.render import render
from stacks.parsing import parse
from stacks.partitions import registry_host

SIZES = (10, 100, 1000)
_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """The result for one size: the median of the seconds from settings to text, the files, and the bytes of text."""

    images: int
    seconds: float
    files: int
    size: int


def measure() -> list[Rendering]:
    """Measure every size, smallest first."""
    return [_measure(images) for images in SIZES]


def _measure(images: int) -> Rendering:
    prefix = "buildyard:"
    config = {key.removeprefix(prefix): value for key, value in stack_config(images).items() if key.startswith(prefix)}
    settings = parse(config, source="the benchmark's stack")
    inputs = PipelineInputs(
        settings=settings,
        project=settings.projects[0],
        registry_host=registry_host("123456789012", "ap-east-1"),
        source="the benchmark's stack",
    )
    times = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        files = render(generate(inputs))
        times.append(time.perf_counter() - started)
    return Rendering(
        images=images, seconds=median(times), files=len(files), size=sum(len(file.text.encode()) for file in files)
    )
