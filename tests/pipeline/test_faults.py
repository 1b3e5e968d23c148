"""Tests of `faults.py`: a fault of the machine or the registry ends in a sentence and in an exit code of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.jobs.templates import RETRY
from pipeline.scripts import faults, registry
from pipeline.scripts.faults import SENTENCES, Fault, find_fault
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import SHELLS, Done, run

JOB = jobs(files())["build-base:arm64"]
MODULE = faults.__name__
RUN = 'error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: '
PUSH = "error: failed to solve: failed to push host/app: unexpected status from PUT request to https://host/v2/: "

MISTAKES = [
    f"{RUN}1",
    f"{RUN}1370",
    "error: failed to solve: dockerfile parse error on line 2: unknown instruction: RUM",
    'error: failed to solve: failed to compute cache key: "/429 Too Many Files": not found',
    f"{PUSH}403 Forbidden",
    "error: failed to solve: host/base:latest: 404 Not Found",
    # A RUN step's own downloads are the Dockerfile's matter, whatever the command line has in it.
    'error: failed to solve: process "sh -c wget # 502 Bad Gateway" did not complete successfully: exit code: 22',
    "#7 1.2 toomanyrequests: try again later\nerror: failed to solve: base: not found",
]
FAULTS = {
    f"{RUN}137": Fault.MEMORY,
    f"#5 0.1 dd: error writing '/big': No space left on device\n{RUN}1": Fault.DISK,
    "error: failed to solve: ResourceExhausted: write /data/big: no space left on device": Fault.DISK,
    "error: failed to receive status: rpc error: code = Unavailable desc = error reading from server": Fault.DAEMON,
    "could not connect to unix:///run/user/1000/buildkit/buildkitd.sock after 60 trials": Fault.DAEMON,
    f"{PUSH}429 Too Many Requests": Fault.REGISTRY,
    f"{PUSH}503 Service Unavailable": Fault.REGISTRY,
    "error: failed to solve: failed to copy: httpReadSeeker: failed open: unexpected status code 500": Fault.REGISTRY,
    "error: failed to solve: host/base:latest: toomanyrequests: Rate exceeded": Fault.REGISTRY,
    "error: failed to solve: failed to do request: Head https://host/v2/: net/http: TLS handshake timeout": (
        Fault.REGISTRY
    ),
}


def build(folder: Path, said: str, *, failures: int = 99, shell: list[str] | None = None) -> Done:
    """Run a build job whose BuildKit says this and fails, in its first attempts."""
    (folder / "record").mkdir(exist_ok=True)
    (folder / "record" / "attempts").unlink(missing_ok=True)
    (folder / "record" / "waits").unlink(missing_ok=True)
    return run(JOB, folder, shell=shell, STUB_SAY=said, STUB_FAILURES=str(failures))


def attempts(done: Done) -> int:
    return len((done.record / "attempts").read_text().splitlines())


def lives(process: str) -> bool:
    state = Path("/proc", process.strip(), "stat")
    return state.exists() and " Z " not in state.read_text()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("said", "fault"), FAULTS.items())
def test_a_fault_ends_in_a_sentence_and_an_exit_code_that_is_retried(
    tmp_path: Path, said: str, fault: Fault, shell: list[str]
) -> None:
    done = build(tmp_path, said, shell=shell)
    assert done.status == fault
    assert done.status in RETRY.exit_codes, "GitLab would leave the job failed"
    assert said in done.output, "the reason itself would be lost"
    last = done.output.rstrip().splitlines()[-1]
    assert last.startswith(SENTENCES[fault].split("{")[0]), "people would have to search the log for what to do"
    assert not (done.project / ".buildyard").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_disk_that_is_still_full_changes_nothing_about_that(tmp_path: Path, shell: list[str]) -> None:
    # Nothing can be written to the job's files.
    make = "folder=$(PATH=${PATH#*:} mktemp -d) && mkdir $folder/log $folder/result"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mktemp").write_text(f"#!/bin/sh\n{make} && echo $folder\n")
    (tmp_path / "bin" / "mktemp").chmod(0o755)
    job = {**JOB, "script": [f"PATH={tmp_path}/bin:$PATH", *JOB["script"]]}
    (tmp_path / "record").mkdir()
    said = f"{RUN}1\n#5 0.1 cp: write error: No space left on device"
    done = run(job, tmp_path, shell=shell, STUB_SAY=said, STUB_FAILURES="9")
    assert done.status == Fault.DISK, done.output


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_is_built_once_and_not_retried(tmp_path: Path, said: str) -> None:
    done = build(tmp_path, said)
    assert (done.status, attempts(done)) == (1, 1), "a mistake would be built again and again"
    assert done.status not in RETRY.exit_codes
    assert done.output.rstrip().endswith(said), "a sentence about the machine would mislead"


def test_throttling_is_ridden_out(tmp_path: Path) -> None:
    done = build(tmp_path, f"{PUSH}429 Too Many Requests", failures=2)
    assert (done.status, attempts(done)) == (0, 3), done.output
    assert (done.project / ".buildyard" / "base-arm64.json").exists()


def test_throttling_is_ridden_out_for_minutes_then_the_job_ends(tmp_path: Path) -> None:
    done = build(tmp_path, f"{PUSH}503 Service Unavailable")
    assert done.status == Fault.REGISTRY
    assert done.waited == 120, "a registry that is busy for a minute would fail builds"


def test_only_the_registrys_faults_are_tried_again_in_the_job(tmp_path: Path) -> None:
    for said, fault in FAULTS.items():
        if fault is not Fault.REGISTRY:
            assert attempts(build(tmp_path, said)) == 1, "a full machine would build again"


def test_a_token_that_aws_throttled_is_told_from_one_that_it_refused() -> None:
    said = ["error: failed to solve: failed to authorize: unexpected status: 401 Unauthorized"]
    throttled = "api error ThrottlingException: Rate exceeded"
    assert find_fault(1, said, killed=False, credentials=lambda: throttled) is Fault.REGISTRY
    assert find_fault(1, said, killed=False, credentials=lambda: "api error AccessDeniedException") is None


def test_the_helpers_last_error_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ECR_CACHE_DIR", str(tmp_path))
    assert not registry.helper_error()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "ecr-login.log").write_text("level=error msg=1\nlevel=error msg=2\nlevel=debug msg=3\n")
    assert registry.helper_error() == "level=error msg=2"


def test_the_kernels_count_tells_a_lack_of_memory_that_the_step_hid(tmp_path: Path) -> None:
    assert faults.out_of_memory_kills(tmp_path) == 0
    (tmp_path / "memory.events").write_text("low 0\noom 9\noom_kill 2\noom_group_kill 0\n")
    assert faults.out_of_memory_kills(tmp_path) == 2
    # A compiler is killed, make fails with a status of its own.
    assert find_fault(1, [f"{RUN}2"], killed=True, credentials=str) is Fault.MEMORY


@pytest.mark.parametrize(("limit", "words"), [("max", ""), ("16106127360", " (its limit is 15.0Gi)")])
def test_the_memory_limit_is_named_if_there_is_one(tmp_path: Path, limit: str, words: str) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert faults.memory_limit(tmp_path) == words


def test_a_job_that_is_told_to_stop_stops_its_build_and_says_so(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = ["sh", "-c", f"sleep 60 & echo $! >{child}; wait"]
    job = subprocess.Popen([sys.executable, "-m", MODULE, *command], stdout=subprocess.PIPE, text=True)
    while not child.exists() or not child.read_text().strip():
        time.sleep(0.01)
    began = time.monotonic()
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=30)
    assert job.returncode == Fault.STOPPED in RETRY.exit_codes
    assert time.monotonic() - began < 9, "BuildKit was not asked to end, but killed later"
    assert SENTENCES[Fault.STOPPED] in output
    deadline = time.monotonic() + 10
    while lives(child.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not lives(child.read_text()), "the daemon would go on until the pod is killed"


def test_a_daemon_that_is_told_to_stop_has_time_after_its_shell_is_gone(tmp_path: Path) -> None:
    """The shell of `buildctl-daemonless.sh` has no trap for SIGTERM; its daemon then ends the build's steps."""
    daemon = tmp_path / "daemon.sh"
    stop = f"sleep 1; touch {tmp_path}/ended; exit"
    daemon.write_text(f"trap '{stop}' TERM; touch {tmp_path}/began; while :; do sleep 0.1; done\n")
    job = subprocess.Popen([sys.executable, "-m", MODULE, "sh", "-c", f"sh {daemon} & wait"])
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    began = time.monotonic()
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == Fault.STOPPED
    assert (tmp_path / "ended").exists(), "the daemon was killed at once"
    assert time.monotonic() - began < 9, "the job waited for processes that had ended"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python knows PYTHONSAFEPATH from 3.11")
def test_files_of_the_project_are_not_taken_for_pythons_library(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    for name in ("random", "datetime", "subprocess"):
        (tmp_path / "project" / f"{name}.py").write_text("raise SystemExit('the project runs our scripts')\n")
    done = run(JOB, tmp_path)
    assert done.status == 0, done.output


@pytest.mark.parametrize("shell", SHELLS)
def test_the_runners_own_trap_does_not_make_a_stopped_job_look_like_a_mistake(tmp_path: Path, shell: list[str]) -> None:
    """The runner sets the trap before a job's script (`shells/bash.go` of https://gitlab.com/gitlab-org/gitlab-runner)."""
    before = ["trap 'exit 1' TERM", *JOB["before_script"]]
    script = ["(sleep 0.5; kill -TERM $$) & run_build sleep 1"]
    done = run({**JOB, "before_script": before, "script": script}, tmp_path, shell=shell)
    assert done.status == Fault.STOPPED, done.output


def test_a_build_that_a_signal_ended_has_the_shells_exit_code(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", MODULE, "sh", "-c", "kill -USR1 $$"], check=False)
    assert done.returncode == 128 + signal.SIGUSR1  # nohup would have SIGHUP ignored


def test_output_is_passed_on_as_it_comes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", MODULE, "sh", "-c", "printf '\\377 one\\n'; read -r never <&0 || sleep 5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as job:
        assert job.stdout
        began = time.monotonic()
        assert job.stdout.readline() == b"\xff one\n"
        assert time.monotonic() - began < 4, "a build of an hour would show nothing until its end"
        job.terminate()
        job.communicate()
