"""Measurement of the bytes that builds push and pull: with and without mounting, zstd and `COPY --link`.

The layers are real Python packages: those of this program's own virtual environment, in alphabetical order.
"""

import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import boto3

from benchmarks.builds.environment import Environment, config_of, open_stack, published_pipeline
from sandbox.builds import tools
from sandbox.endpoints import REGION

RUNS = 3
BASE_MIB = 120
"""The size of the layer that others are built on, and of the layer that is compressed in two ways."""
OWN_MIB = 12
"""The size of the layer that an image adds."""
_MIB = 1024**2


class Step(str, Enum):
    """A job that is measured."""

    FIRST = "first build on a base"
    REBUILD = "rebuild on a new base"
    PUSH = "push a layer"
    PULL = "pull and unpack the layer"

    def __str__(self) -> str:
        return self.value


class Way(str, Enum):
    """How the image is built."""

    PLAIN = "as usual"
    MOUNTED = "with mounting"
    LINKED = "COPY --link"
    LINKED_MOUNTED = "COPY --link, with mounting"
    GZIP = "gzip"
    ZSTD = "zstd"

    def __str__(self) -> str:
        return self.value

    @property
    def image(self) -> str:
        """The image's name without the run's number."""
        return self.name.lower().replace("_", "-")


BUILDS = (Way.PLAIN, Way.MOUNTED, Way.LINKED, Way.LINKED_MOUNTED)
COMPRESSIONS = (Way.GZIP, Way.ZSTD)
USUAL = {**dict.fromkeys(BUILDS, Way.PLAIN), **dict.fromkeys(COMPRESSIONS, Way.GZIP)}
"""The way that each is compared with."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One job: its time, and the bytes of the layers that it pushed and pulled."""

    run: int
    step: Step
    way: Way
    seconds: float
    pushed: int
    pulled: int


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The medians of all runs; `ratio` is that of the seconds of a way and of the usual one in the same run."""

    seconds: float
    ratio: float
    pushed: float
    pulled: float


def measure(runs: int = RUNS) -> Iterator[Transfer]:
    """Measure all jobs, each in a pod of its own. The repositories are empty at the start of a run."""
    images = [image for run in range(runs) for image in _images(run)]
    with open_stack(config_of(images, {"blob-mounting": True})) as environment:
        _write_contexts(environment.checkout.directory)
        for run in range(runs):
            yield from _builds(environment, images, run)
            yield from _compressions(environment, images, run)


def _images(run: int) -> Iterator[Mapping[str, Any]]:
    yield {"name": f"base-{run}", "context": "base"}
    for way in BUILDS:
        context = "linked" if way in (Way.LINKED, Way.LINKED_MOUNTED) else "plain"
        yield _above(f"{way.image}-{run}", context, f"base-{run}")
    for way in COMPRESSIONS:
        yield {"name": f"{way.image}-{run}", "context": "base"}
        yield _above(f"{way.image}-reader-{run}", "reader", f"{way.image}-{run}")


def _above(name: str, context: str, base: str) -> Mapping[str, Any]:
    return {"name": name, "context": context, "depends-on": [base], "build-args": {"BASE": base}}


def _builds(environment: Environment, images: Sequence[Mapping[str, Any]], run: int) -> Iterator[Transfer]:
    for version, step in enumerate((Step.FIRST, Step.REBUILD)):
        (environment.checkout.directory / "base" / "version").write_text(f"{run}.{version}\n")
        _job(environment, f"base-{run}")
        for way in BUILDS[run % 4 :] + BUILDS[: run % 4]:  # so that the order differs between runs
            mounts = way in (Way.MOUNTED, Way.LINKED_MOUNTED)
            _set_mounting(environment, on=mounts)
            pipeline = published_pipeline(
                config_of(images, {"blob-mounting": mounts}), environment.around.registry_host
            )
            image = f"{way.image}-{run}"
            yield _measured(replace(environment, pipeline=pipeline), image, f"base-{run}", run, step, way)


def _compressions(environment: Environment, images: Sequence[Mapping[str, Any]], run: int) -> Iterator[Transfer]:
    _set_mounting(environment, on=True)  # so that whoever pulls the layer does not push it
    for way in COMPRESSIONS if run % 2 else reversed(COMPRESSIONS):
        registry = {"compression": way.image, "blob-mounting": True}
        pipeline = published_pipeline(config_of(images, registry), environment.around.registry_host)
        own = replace(environment, pipeline=pipeline)
        yield _measured(own, f"{way.image}-{run}", None, run, Step.PUSH, way)
        yield _measured(own, f"{way.image}-reader-{run}", f"{way.image}-{run}", run, Step.PULL, way)


def _set_mounting(environment: Environment, *, on: bool) -> None:
    ecr = boto3.Session("sandbox", "sandbox", region_name=REGION).client("ecr", endpoint_url=environment.aws)
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED" if on else "DISABLED")


def _measured(environment: Environment, image: str, base: str | None, run: int, step: Step, way: Way) -> Transfer:
    traffic = environment.around.ecr.traffic
    before = sum(traffic.uploaded.values()), sum(traffic.downloaded.values())
    seconds = _job(environment, image, base)
    return Transfer(
        run=run,
        step=step,
        way=way,
        seconds=seconds,
        pushed=sum(traffic.uploaded.values()) - before[0],
        pulled=sum(traffic.downloaded.values()) - before[1],
    )


def _job(environment: Environment, image: str, base: str | None = None) -> float:
    """Build an image on the last build of another one, and keep its digest. Returns the seconds."""
    digests, reports = environment.checkout.directory / "digests", environment.checkout.directory / ".buildyard"
    if base:
        reports.mkdir(exist_ok=True)
        shutil.copyfile(digests / base, reports / f"{base}.digest")
        environment.worker.give(reports)
    done = environment.run(environment.published(image))
    digests.mkdir(exist_ok=True)
    report = (reports / f"{image}-{tools.machine()}.json").read_text()
    digest = report.partition('"containerimage.digest": "')[2].partition('"')[0]
    (digests / image).write_text(digest)
    shutil.rmtree(reports)
    return done.seconds


def _write_contexts(directory: Path) -> None:
    for name, dockerfile in {
        "base": "FROM busybox:1.37\nCOPY version /version\nCOPY packages /packages\n",
        "plain": "ARG BASE\nFROM ${BASE}\nCOPY packages /own\n",
        "linked": "ARG BASE\nFROM ${BASE}\nCOPY --link packages /own\n",
        "reader": "ARG BASE\nFROM ${BASE}\nRUN true\n",
    }.items():
        (directory / name).mkdir()
        (directory / name / "Dockerfile").write_text(dockerfile)
    (directory / "base" / "version").write_text("0\n")
    files = list(_packages())
    _copy(files, directory / "base" / "packages", BASE_MIB)
    for name in ("plain", "linked"):
        _copy(files[::-1], directory / name / "packages", OWN_MIB)


def _packages() -> Iterator[Path]:
    """The files of this program's packages."""
    root = Path(sysconfig.get_path("purelib"))
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(folder, name) for name in sorted(files))


def _copy(files: Sequence[Path], target: Path, mib: int) -> None:
    """Copy files until they have this many MiB."""
    root, left = Path(sysconfig.get_path("purelib")), mib * _MIB
    for file in files:
        if left <= 0:
            return
        copied = target / file.relative_to(root)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
        left -= file.stat().st_size


def figure(measured: Sequence[Transfer], step: Step, way: Way) -> Figure:
    """The medians of a way's jobs."""
    of = {(each.run, each.way): each for each in measured if each.step is step}
    own = [each for (_, who), each in of.items() if who is way]
    return Figure(
        seconds=median(each.seconds for each in own),
        ratio=median(each.seconds / of[each.run, USUAL[way]].seconds for each in own),
        pushed=median(each.pushed for each in own),
        pulled=median(each.pulled for each in own),
    )


def combinations() -> Iterator[tuple[Step, Way]]:
    """All steps, each with the ways that are compared in it."""
    yield from product((Step.FIRST, Step.REBUILD), BUILDS)
    yield from product((Step.PUSH, Step.PULL), COMPRESSIONS)
