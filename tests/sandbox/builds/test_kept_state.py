"""Real builds on nodes with a disk for BuildKit's state, which a job leaves to later jobs."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from pipeline.scripts.kept_state import has_room
from sandbox.builds.events import Event, Trigger
from sandbox.builds.worker import Worker
from stacks import tags
from stacks.trust import Tier
from tests.node_disks import obstacle
from tests.sandbox.builds.environments import Environment, job, node_disk, on_branch, words
from tests.sandbox.builds.example_group import ImageProject

pytestmark = pytest.mark.builds
BUILD = "build-app:amd64"
OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKERFILE = """\
FROM busybox:1.37
RUN --mount=type=cache,target=/cache echo one >>/cache/builds && cp /cache/builds /builds
COPY dependencies /dependencies
RUN cat /proc/uptime >/made
COPY source /source
"""
FILES = {"app/Dockerfile": DOCKERFILE, "app/dependencies": "one\n", "app/source": "print 1\n"}


def folders(nodes: Environment, project: ImageProject, tier: Tier = Tier.PROTECTED) -> list[Path]:
    """The project's folders on the disk."""
    notes = sorted(node_disk(nodes, tier).glob("*/images.json"))
    return [each.parent for each in notes if f"/{project.path}/" in each.read_text()]


def change(project: ImageProject, content: str) -> None:
    project.commit({"app/source": content})


def made(nodes: Environment, project: ImageProject) -> str | None:
    """When the third step of the published image ran."""
    return nodes.file(project, tags.LATEST, "made")


def forget(nodes: Environment, project: ImageProject) -> None:
    """Delete the build cache in the registry."""
    for tag in nodes.tags(project):
        if tag.startswith(tags.CACHE_PREFIX):
            url = f"{nodes.builds.images.url}/v2/{project.path}/app/manifests"
            found = requests.head(f"{url}/{tag}", headers={"Accept": OCI}, timeout=10)
            requests.delete(f"{url}/{found.headers['Docker-Content-Digest']}", timeout=10).raise_for_status()


def in_state(worker: Worker, folder: Path, script: str) -> None:
    """Run a script in a folder of the disk, with the rights to files of all the user's sub-uids."""
    done = worker.run(["rootlesskit", "sh", "-ec", script], env=worker.environment, cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_later_jobs_continue_where_earlier_ones_ended(nodes: Environment) -> None:
    project = nodes.project(files=FILES)
    assert job(nodes.build(project), BUILD).passed
    forget(nodes, project)
    project.commit({"app/Dockerfile": DOCKERFILE.replace("/source", "/source2")})
    again = job(nodes.build(project), BUILD)
    assert (again.passed, again.cached) == (True, 3), f"the state of the first job was not used: {words(again)}"
    project.commit({"app/Dockerfile": DOCKERFILE.replace("echo one", "echo two")})
    assert job(nodes.build(project), BUILD).passed
    assert nodes.file(project, tags.LATEST, "builds") == "one\ntwo\n", "packages would be downloaded again"


def test_a_renewed_cache_is_not_undone_by_an_older_state(nodes: Environment) -> None:
    project = nodes.project(files=FILES)
    nodes.build(project)
    old = made(nodes, project)
    event = Event(trigger=Trigger.SCHEDULE, ref="master", chosen={"BUILDYARD_CACHE": "renew"})
    assert job(nodes.build(project, event), BUILD).passed
    renewed = made(nodes, project)
    assert renewed != old
    change(project, "print 2\n")
    built = job(nodes.build(project), BUILD)
    assert (built.passed, made(nodes, project)) == (True, renewed), f"old packages came back: {words(built)}"


def test_jobs_at_once_have_each_a_state_and_later_ones_find_their_images(nodes: Environment) -> None:
    images = [{"name": name, "context": "app", "architectures": ["amd64"]} for name in ("app", "web")]
    project = nodes.project(images, files=FILES)
    result = nodes.build(project)
    assert result.passed
    first = {folder: read(folder) for folder in folders(nodes, project)}
    assert sorted(len(built) for built in first.values()) == [1, 1], "two daemons shared a state"
    assert nodes.build(project).passed
    assert {folder: read(folder) for folder in folders(nodes, project)} == first, "images changed places"


def read(folder: Path) -> dict[str, str]:
    """The notes on the images that were built in a folder."""
    images: dict[str, str] = json.loads((folder / "images.json").read_text())["images"]
    return images


def test_what_a_killed_build_leaves_breaks_none(nodes: Environment) -> None:
    project = nodes.project(files={**FILES, "app/Dockerfile": f"{DOCKERFILE}RUN sleep 0.5 && cat /source >/late\n"})
    for number in range(2):
        change(project, f"print {number}\n")
        with ThreadPoolExecutor() as threads:
            running = threads.submit(nodes.build, project)
            [folder] = within(20, lambda: [each for each in folders(nodes, project) if daemons(each)])
            time.sleep(0.3 * number)
            for daemon in daemons(folder):
                os.kill(daemon, signal.SIGKILL)
            assert job(running.result(), BUILD).passed is not None
        change(project, f"print {number} again\n")
        built = job(nodes.build(project), BUILD)
        assert built.passed, words(built)
        assert nodes.file(project, tags.LATEST, "late") == f"print {number} again\n"


def daemons(folder: Path) -> list[int]:
    """The processes of a BuildKit daemon whose state is in a folder."""
    command = ["pgrep", "-f", f"buildkitd .*--root={folder}/"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return [int(process) for process in found.stdout.split()]


def within(seconds: float, look: Callable[[], list[Path]]) -> list[Path]:
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


DAMAGES = {
    "its index is garbage": "for each in state/*.db state/*/*.db; do echo garbage >$each; done",
    "its layers are gone": "rm -rf state/runc-overlayfs/snapshots/snapshots/*",
    "its contents are gone": "rm -rf state/runc-overlayfs/content/blobs/*",
}


@pytest.fixture(scope="module")
def damaged(nodes: Environment) -> ImageProject:
    return nodes.project(files=FILES)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_costs_a_build_without_it_and_fails_none(
    nodes: Environment, worker: Worker, damaged: ImageProject, damage: str
) -> None:
    assert nodes.build(damaged).passed
    [folder] = folders(nodes, damaged)
    in_state(worker, folder, DAMAGES[damage])
    change(damaged, f"print '{damage}'\n")
    built = job(nodes.build(damaged), BUILD)
    assert built.passed, words(built)
    assert nodes.file(damaged, tags.LATEST, "source") == f"print '{damage}'\n"


def test_a_full_disk_costs_a_build_from_nothing_and_fails_none(nodes: Environment) -> None:
    """A build takes 120 MB: the second one does not fit beside the first, although it began with enough room."""
    if reason := obstacle():
        pytest.skip(reason)
    big = "RUN head -c 60000000 /dev/urandom >/big\n"
    project = nodes.project(files={**FILES, "app/Dockerfile": f"{DOCKERFILE}{big}"})
    with filled(node_disk(nodes), free=225_000_000):
        for number in range(2):
            change(project, f"print {number}\n")
            built = job(nodes.build(project), BUILD)
            assert built.passed, words(built)
            assert shutil.disk_usage(node_disk(nodes)).free < 120_000_000, "the build left no state"
            assert has_room(node_disk(nodes)), "the next build begins with an emptied state, and meets no full disk"


@contextmanager
def filled(disk: Path, *, free: int) -> Iterator[None]:
    """A disk with this many free bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - free)
    try:
        yield
    finally:
        filler.unlink()


def test_another_tier_has_another_state(nodes: Environment) -> None:
    project = nodes.project(files=FILES)
    assert nodes.build(project).passed
    project.commit({"app/source": "print 2\n"}, branch="feature/new", start="master")
    assert nodes.build(project, on_branch("feature/new")).passed
    protected, unprotected = folders(nodes, project), folders(nodes, project, Tier.UNPROTECTED)
    assert (len(protected), len(unprotected)) == (1, 1)
    assert not set(protected) & set(unprotected), "a merge request could change what a release is made from"
