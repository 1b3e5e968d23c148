"""Faults of the machine and of the registry, in real builds of the published job."""

import pytest

from pipeline.scripts.faults import SENTENCES, Fault
from sandbox.builds.progress import Job
from tests.sandbox.builds.environments import Environment, words

pytestmark = pytest.mark.builds

# The container's first process is a child of runc, and that is a child of the build's own daemon. All daemons of this
# machine have one name, so this one is found by that.
KILL_DAEMON = """\
runc=$PPID
daemon=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$runc/status)
grep -q buildkitd /proc/$daemon/comm && kill -9 $daemon
sleep 30
"""


def built(environment: Environment, script: str) -> Job:
    """The job that builds an image with this script as its RUN step."""
    files = {"app/Dockerfile": "FROM busybox:1.37\nCOPY step /step\nRUN sh -e /step\n", "app/step": script}
    result = environment.build(environment.project(files=files))
    return next(job for job in result.jobs if job.name == "build-app:amd64")


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (KILL_DAEMON, Fault.DAEMON),
        ("kill -9 $$", Fault.MEMORY),
        ("echo more >/dev/full", Fault.DISK),
    ],
)
def test_a_machines_fault_says_what_to_do(environment: Environment, script: str, fault: Fault) -> None:
    job = built(environment, script)
    assert job.exit_code == fault, words(job)
    assert job.tail[-1].startswith(SENTENCES[fault].split("{")[0]), words(job)


def test_a_mistake_has_buildkits_own_end(environment: Environment) -> None:
    job = built(environment, "exit 3")
    assert job.exit_code == 1, words(job)
    assert job.tail[-1].endswith("did not complete successfully: exit code: 3"), words(job)


def test_a_registry_that_throttles_for_a_time_fails_no_build(environment: Environment) -> None:
    environment.builds.ecr.throttle(12)
    job = built(environment, "true")
    assert job.passed, words(job)
    assert job.seconds
    assert job.seconds > 12, "nothing was throttled"
