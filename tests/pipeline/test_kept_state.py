"""Tests of `kept_state.py`: which folder of the node's disk a job gets, and what a job does with odd ones."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.scripts import kept_state
from pipeline.scripts.kept_state import KeptState, claim
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import STUBS, Done, run

JOB = jobs(files())["build-base:arm64"]
BOOT = "a boot"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's disk, and a registry in which nobody renewed a cache."""
    (tmp_path / "boot").write_text(f"{BOOT}\n")
    monkeypatch.setattr(kept_state, "_BOOT", tmp_path / "boot")
    renewed(tmp_path, monkeypatch, "none")
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def renewed(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Let `crane digest` print this, and `rootlesskit` run its command as it is."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, script in {"crane": f"echo '{answer}'", "rootlesskit": 'exec "$@"'}.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    if str(folder / "bin") not in os.environ["PATH"]:
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")


def take(disk: Path, image: str = "host/app:renewed", project: str = "7", room: Iterable[bool] = ()) -> KeptState:
    """Claim a folder, as a job does, and let BuildKit make its state there."""
    environment = {"BUILDYARD_STATE": str(disk), "BUILDYARD_RENEWED": image, "CI_PROJECT_ID": project}
    answers = iter(room)
    found = claim(environment, print, lambda _: next(answers, True))
    assert found
    found.root.mkdir(exist_ok=True)
    return found


def build(disk: Path, image: str = "host/app:renewed", project: str = "7") -> str:
    """The name of the folder that a job gets, which then ends."""
    state = take(disk, image, project)
    state.release()
    return state.folder.name


def test_a_folder_has_one_job_at_a_time(disk: Path) -> None:
    first, second = take(disk), take(disk)
    assert first.folder != second.folder
    first.release()
    assert build(disk) == first.folder.name


def test_the_daemon_that_a_killed_job_left_keeps_its_folder(disk: Path) -> None:
    state = take(disk)
    daemon = os.dup(state.lock)  # a process that it started has the same open file
    state.release()
    assert build(disk) != state.folder.name, "two daemons would share a state"
    os.close(daemon)
    assert state.folder in {take(disk).folder, take(disk).folder}


def test_an_image_returns_to_the_folder_in_which_it_was_built(disk: Path) -> None:
    web, app = take(disk, "host/web:renewed"), take(disk, "host/app:renewed")
    web.release()
    app.release()
    assert build(disk, "host/web:renewed") == web.folder.name
    assert build(disk, "host/app:renewed") == app.folder.name
    assert build(disk, "host/new:renewed") == app.folder.name, "a new image has more from a recent state than from none"


def test_projects_share_nothing(disk: Path) -> None:
    assert build(disk, project="7") == "7-0"
    assert build(disk, project="77") == "77-0", "packages in a cache mount would be those of another project"


def test_a_state_that_is_older_than_a_renewal_is_emptied(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = take(disk)
    (old.root / "layer").touch()
    old.release()
    renewed(tmp_path, monkeypatch, "sha256:1")
    new = take(disk)
    assert new.folder == old.folder
    assert not (new.root / "layer").exists(), "packages that a schedule renewed would become old again"
    (new.root / "layer").touch()
    new.release()
    again = take(disk)
    assert (again.root / "layer").exists()


def test_a_state_of_another_boot_is_emptied(disk: Path, tmp_path: Path) -> None:
    old = take(disk)
    (old.root / "layer").touch()
    old.release()
    (tmp_path / "boot").write_text("another\n")
    new = take(disk)
    assert new.folder == old.folder
    assert not (new.root / "layer").exists(), "what a machine wrote before it broke down may be incomplete"


def test_a_registry_that_does_not_answer_leaves_the_state_unused(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin" / "crane").write_text("#!/bin/sh\necho 'TOOMANYREQUESTS: Rate exceeded' >&2\nexit 1\n")
    environment = {"BUILDYARD_STATE": str(disk), "BUILDYARD_RENEWED": "host/app:renewed", "CI_PROJECT_ID": "7"}
    assert claim(environment, print) is None
    assert "Rate exceeded" in capsys.readouterr().out


def test_what_was_used_longest_ago_makes_room(disk: Path) -> None:
    for age, project in enumerate(("1", "2", "3")):
        state = take(disk, project=project)
        state.release()
        os.utime(state.folder / "images.json", (age, age))
    take(disk, project="9", room=[False, False, True])
    assert [each for each in ("1-0", "2-0", "3-0") if (disk / each / "state").exists()] == ["3-0"]


def test_what_could_not_be_deleted_once_is_deleted_later(disk: Path) -> None:
    rootlesskit = disk.parent / "bin" / "rootlesskit"
    works = rootlesskit.read_text()
    rootlesskit.write_text("#!/bin/sh\nexit 1\n")
    first = take(disk, project="1")
    first.empty()
    first.release()
    assert [each.name for each in first.folder.glob("undeletable-*")] == ["undeletable-0"]
    rootlesskit.write_text(works)
    take(disk, project="9", room=[False, True])
    assert not list(first.folder.glob("undeletable-*")), "its space would be lost for as long as the node lives"


def test_a_folder_in_use_is_not_emptied(disk: Path) -> None:
    running = take(disk, project="1")
    take(disk, project="9", room=[False, False, True])
    assert running.found, "a running build would lose its files"


def test_a_disk_that_is_full_of_something_else_is_not_used(disk: Path) -> None:
    environment = {"BUILDYARD_STATE": str(disk), "BUILDYARD_RENEWED": "host/app:renewed", "CI_PROJECT_ID": "7"}
    assert claim(environment, print, lambda _: False) is None


@pytest.mark.parametrize(
    ("blocks", "free", "inodes", "room"),
    [
        (100, 20, 100, True),
        (100, 19, 100, False),
        (100, 90, 19, False),
        (2**30, 6 * 2**20, 100, True),  # 4 TiB, of which 24 GiB are free
        (2**30, 4 * 2**20, 100, False),
    ],
)
def test_a_build_finds_a_fifth_of_the_disk_free_or_enough_of_a_large_one(
    monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, inodes: int, room: bool
) -> None:
    size = SimpleNamespace(f_frsize=4096, f_blocks=blocks, f_bavail=free, f_files=100, f_favail=inodes)
    monkeypatch.setattr(os, "statvfs", lambda _: size)
    assert kept_state.has_room(Path()) is room


@pytest.mark.parametrize("project", ["", "..", "7/../8", "7-0", "*", "9" * 19])
def test_a_job_cannot_name_another_folder(disk: Path, project: str) -> None:
    environment = {"BUILDYARD_STATE": str(disk), "BUILDYARD_RENEWED": "host/app:renewed", "CI_PROJECT_ID": project}
    assert claim(environment, print) is None
    assert not list(disk.iterdir())


ODD = {
    "the notes are a folder": "mkdir images.json",
    "the notes are a list": "echo '[1]' >images.json",
    "the notes are no text": "printf '\\377' >images.json",
    "the notes lead elsewhere": "ln -s ../../elsewhere images.json",
    "the lock is a pipe": "rm lock && mkfifo lock",
    "the lock leads elsewhere": "ln -sf ../../elsewhere/file lock",
    "the state is a file": ": >state",
    "the state leads elsewhere": "ln -s ../../elsewhere state",
    "another boot wrote it": """mkdir state && echo '{"boot": "another", "images": {"x": "none"}}' >images.json""",
}


@pytest.mark.parametrize("odd", ODD)
def test_what_another_job_left_fails_no_job(disk: Path, odd: str) -> None:
    (disk.parent / "elsewhere").mkdir()
    (disk.parent / "elsewhere" / "file").write_text("precious")
    state = take(disk)
    state.release()
    shutil.rmtree(state.root)
    (state.folder / "images.json").unlink()
    subprocess.run(["sh", "-ec", ODD[odd]], cwd=state.folder, check=True)
    done = job(disk)
    assert done.status == 0, done.output
    assert (disk.parent / "elsewhere" / "file").read_text() == "precious"


def job(disk: Path, **variables: str) -> Done:
    """Run a published build job with this disk, and an empty registry."""
    (disk.parent / "record").mkdir(exist_ok=True)
    (disk.parent / "record" / "registry.json").write_text('{"tags": {}, "manifests": {}, "calls": []}')
    return run(JOB, disk.parent, shell=None, BUILDYARD_STATE=str(disk), **variables)


def test_a_published_job_gives_buildkit_the_folder(disk: Path) -> None:
    done = job(disk)
    assert done.environment["BUILDKITD_FLAGS"] == f"--oci-worker-no-process-sandbox --root={disk}/7-0/state"
    [image] = json.loads((disk / "7-0" / "images.json").read_text())["images"]
    assert "base:buildcache-renewed-arm64" in image


def test_a_job_that_renews_builds_without_it(disk: Path) -> None:
    done = job(disk, BUILDYARD_CACHE="renew")
    assert "--root" not in done.environment["BUILDKITD_FLAGS"]
    assert not list(disk.iterdir())


def test_a_node_without_such_a_disk_changes_nothing(tmp_path: Path) -> None:
    assert run(JOB, tmp_path).environment["BUILDKITD_FLAGS"] == "--oci-worker-no-process-sandbox"


MISSING = "error: failed to solve: blob sha256:97b1: not found"
STEP = 'error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2'


@pytest.mark.parametrize(
    ("said", "again", "emptied"),
    [
        (MISSING, True, True),
        ("could not connect to unix:///run/buildkitd.sock after 60 trials", True, True),
        ("error: failed to solve: ResourceExhausted: write /x: no space left on device", True, True),
        (STEP, False, False),
        ("error: failed to solve: dockerfile parse error on line 2: unknown instruction: RUM", False, False),
    ],
)
def test_a_failure_of_the_state_is_told_from_a_mistake(disk: Path, said: str, again: bool, emptied: bool) -> None:
    assert job(disk).status == 0
    (disk / "7-0" / "state").mkdir()
    (disk.parent / "record" / "attempts").unlink()
    done = job(disk, STUB_SAY=said)
    assert (done.status == 0) is again, done.output
    assert len((done.record / "attempts").read_text().splitlines()) == (2 if again else 1)
    assert (disk / "7-0" / "state").exists() is not emptied


@pytest.mark.parametrize("said", [MISSING, "error: failed to solve: ResourceExhausted: no space left on device"])
def test_a_state_that_cannot_be_emptied_fails_no_job(disk: Path, said: str) -> None:
    assert job(disk).status == 0
    (disk / "7-0" / "state").mkdir()
    (disk.parent / "record" / "attempts").unlink()
    rootlesskit = disk.parent / "bin" / "rootlesskit"
    rootlesskit.unlink()
    rootlesskit.symlink_to("/nowhere/rootlesskit")
    done = job(disk, STUB_SAY=said, PATH=f"{STUBS}:{rootlesskit.parent}:{Path(sys.executable).parent}:{bare(disk)}")
    assert done.status == 0, done.output
    assert "Could not empty the state of earlier jobs" in done.output


def bare(disk: Path) -> Path:
    """A folder of all of this machine's programs, without rootlesskit."""
    folder = disk.parent / "programs"
    folder.mkdir()
    for each in os.environ["PATH"].split(os.pathsep):
        for program in Path(each).iterdir() if Path(each).is_dir() else ():
            if program.name != "rootlesskit" and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return folder


def test_a_mistake_that_looks_like_a_failure_of_the_state_costs_no_state(disk: Path) -> None:
    assert job(disk).status == 0
    (disk / "7-0" / "state").mkdir()
    (disk.parent / "record" / "attempts").unlink()
    done = job(disk, STUB_SAY="error: failed to solve: busybux:1.37: not found", STUB_FAILURES="9")
    assert done.status == 1
    assert (disk / "7-0" / "state").exists(), "a typo would cost the next build its state"
