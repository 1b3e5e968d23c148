"""A pipeline's results: its reports, and the images that they name."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.builds.distribution import Distribution
from sandbox.builds.worker import Worker

REPORT_KEYS = ("IMAGE_TAG", "IMAGE_VERSION", "IMAGE_URL", "IMAGE_DIGEST")

# Runs in the user namespace of an emulated node: a root file system has files of several users, for any architecture.
_RUN = 'crane export --platform "$1" "$2" - | tar -x -C "$3" && exec chroot "$3" uname -m'


@dataclass(frozen=True, kw_only=True)
class PublishedImage:
    """An image under its tag: for each platform its labels, and the machine name that its `uname` prints."""

    report: Mapping[str, str]
    """The manifest job's dotenv report, `build.env`."""
    labels: Mapping[str, Mapping[str, str]]
    machines: Mapping[str, str]

    @property
    def reference(self) -> str:
        return f"{self.report['IMAGE_URL']}:{self.report['IMAGE_TAG']}"


def reports(artifacts: Path) -> Iterator[dict[str, str]]:
    """The reports of the manifest jobs among the artifacts of all jobs."""
    for file in sorted(artifacts.glob("*/.gitlab-ci-reports/dotenv/build.env")):
        report = dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines() if "=" in line)
        if set(REPORT_KEYS) <= report.keys():
            yield report


def look_up(report: Mapping[str, str], images: Distribution, worker: Worker) -> PublishedImage:
    """Read an image from the registry, and run its program for each platform."""
    repository = report["IMAGE_URL"].partition("/")[2]
    platforms = {_platform(config): (digest, config) for digest, config in _images(images, repository, report)}
    return PublishedImage(
        report=report,
        labels={name: config.get("config", {}).get("Labels") or {} for name, (_, config) in platforms.items()},
        machines={
            name: _run(f"{images.address}/{repository}@{digest}", name, worker)
            for name, (digest, _) in platforms.items()
        },
    )


def _images(images: Distribution, repository: str, report: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """The digest and the configuration of each image under the report's tag."""
    manifest = images.read(f"{repository}/manifests/{report['IMAGE_TAG']}")
    digests = [child["digest"] for child in manifest.get("manifests", [])] or [report["IMAGE_DIGEST"]]
    for digest in digests:
        config = images.read(f"{repository}/manifests/{digest}")["config"]["digest"]
        yield digest, images.read(f"{repository}/blobs/{config}")


def _platform(config: Any) -> str:
    return f"{config['os']}/{config['architecture']}"


def _run(reference: str, platform: str, worker: Worker) -> str:
    with worker.scratch() as root:
        command = ["rootlesskit", "emulated-node.sh", "sh", "-c", _RUN, "run", platform, reference, str(root)]
        done = worker.run(command, env=worker.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.strip()
