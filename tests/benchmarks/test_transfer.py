"""Tests that the benchmark of bytes compares jobs of one run. No test checks times or bytes."""

from pathlib import Path

from benchmarks.builds import transfer
from benchmarks.builds.environment import config_of, published_pipeline
from benchmarks.builds.transfer import Step, Transfer, Way
from sandbox.builds import tools


def _measured(way: Way, *seconds: float) -> list[Transfer]:
    return [
        Transfer(run=run, step=Step.PUSH, way=way, seconds=each, pushed=run, pulled=0)
        for run, each in enumerate(seconds)
    ]


def test_a_ratio_is_of_jobs_of_one_run() -> None:
    measured = [*_measured(Way.GZIP, 10, 40, 10), *_measured(Way.ZSTD, 5, 20, 6)]
    found = transfer.figure(measured, Step.PUSH, Way.ZSTD)
    assert (found.seconds, found.ratio, found.pushed) == (6, 0.5, 1), "a busy minute would look like a result"
    assert transfer.figure(measured, Step.PUSH, Way.GZIP).ratio == 1


def test_each_way_differs_from_the_usual_one_by_what_it_is_named_after(tmp_path: Path) -> None:
    images = list(transfer._images(0))
    plain = published_pipeline(config_of(images), "registry.example.com")
    names = {job.name for job in plain.jobs}
    for way in Way:
        assert f"build-{way.image}-0:{tools.machine()}" in names
    contexts = {image["name"]: image["context"] for image in images}
    assert contexts["gzip-0"] == contexts["zstd-0"]
    assert contexts["plain-0"] == contexts["mounted-0"] != contexts["linked-0"] == contexts["linked-mounted-0"]
    transfer._write_contexts(tmp_path)
    usual, linked = ((tmp_path / name / "Dockerfile").read_text() for name in ("plain", "linked"))
    assert linked.replace("COPY --link", "COPY") == usual
