"""Parts of builds that need no build: the runner's output, policies, the selection of jobs, immutable tags."""

import argparse
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.builds import command, tools
from sandbox.builds.events import Event, Trigger
from sandbox.builds.prerequisites import MissingPrerequisitesError, require
from sandbox.builds.progress import Progress
from sandbox.builds.runner import SHELL, due
from sandbox.endpoints import Endpoints
from sandbox.services.aws.ecr import is_immutable
from sandbox.services.aws.rights import allows

REPOSITORY = "arn:aws:ecr:ap-east-1:123456789012:repository/platform/images/web"


def _statement(effect: str = "Allow", action: Any = "ecr:PutImage", resource: Any = REPOSITORY) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([_statement()], True),
        ([_statement(action=["ecr:putimage", "s3:GetObject"])], True),
        ([_statement(resource="arn:aws:ecr:*:123456789012:repository/platform/*")], True),
        ([_statement(resource=f"{REPOSITORY}2")], False),
        ([_statement(action="ecr:BatchGetImage")], False),
        ([_statement(action="ecr:*"), _statement("Deny")], False),
        ([], False),
    ],
)
def test_rights_are_what_policies_say(statements: list[dict[str, Any]], allowed: bool) -> None:
    assert allows([{"Statement": statements}], "ecr:PutImage", REPOSITORY) is allowed


def test_a_condition_is_refused_rather_than_overlooked() -> None:
    policy = {"Statement": [{**_statement(), "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}]}
    with pytest.raises(ValueError, match="cannot judge Condition"):
        allows([policy], "ecr:PutImage", REPOSITORY)


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-*"}}, False),
        ({"StringLike": {"aws:RequestedRegion": "eu-*"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1", "aws:PrincipalAccount": "1"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}, "ArnLike": {"aws:SourceArn": "arn:*"}}, False),
    ],
)
def test_conditions_are_judged_by_what_is_known_of_the_request(condition: dict[str, Any], allowed: bool) -> None:
    policy = {"Statement": {**_statement(), "Condition": condition}}
    assert allows([policy], "ecr:PutImage", REPOSITORY, {"aws:RequestedRegion": "eu-west-1"}) is allowed


def test_an_unknown_operator_is_refused() -> None:
    policy = {"Statement": {**_statement(), "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "60"}}}}
    with pytest.raises(ValueError, match="cannot judge NumericLessThan"):
        allows([policy], "ecr:PutImage", REPOSITORY, {})


@pytest.mark.parametrize(
    ("mutability", "tag", "stays"),
    [
        ("MUTABLE", "v1", False),
        ("IMMUTABLE", "latest", True),
        ("IMMUTABLE_WITH_EXCLUSION", "v1", True),
        ("IMMUTABLE_WITH_EXCLUSION", "latest", False),
        ("IMMUTABLE_WITH_EXCLUSION", "buildcache-master-amd64", False),
        ("MUTABLE_WITH_EXCLUSION", "latest", True),
        ("MUTABLE_WITH_EXCLUSION", "v1", False),
    ],
)
def test_exclusions_turn_a_repositorys_mutability_around(mutability: str, tag: str, stays: bool) -> None:
    filters = [{"filterType": "WILDCARD", "filter": each} for each in ("latest", "buildcache-*")]
    repository = {"imageTagMutability": mutability, "imageTagMutabilityExclusionFilters": filters}
    assert is_immutable(repository, tag) is stays


def _job(name: str, when: str = "on_success", needs: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": name, "when": when, "needs": [{"job": need} for need in needs]}


JOBS = [
    _job("manifest", needs=("build", "tag")),
    _job("build", "manual"),
    _job("tag"),
    _job("other", needs=("absent",)),
    _job("absent", "never"),
    _job("last", needs=("manifest",)),
]


def test_jobs_behind_one_that_nobody_started_wait_for_it() -> None:
    assert due(JOBS, []) == ["tag", "other"]


def test_a_started_manual_job_starts_those_that_need_it() -> None:
    assert due(JOBS, ["build"]) == ["manifest", "build", "tag", "other", "last"]


def test_a_jobs_shell_does_not_read_what_a_user_wrote_for_logins(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("PATH=/somewhere/else\n")
    ours, shells = socket.socketpair()  # what gitlab-ci-local makes for standard input
    environment = {"HOME": str(tmp_path), "PATH": os.defpath, **SHELL}
    with ours, shells:
        found = subprocess.check_output(["bash", "-c", "echo $PATH"], stdin=shells.fileno(), env=environment, text=True)
    assert found.strip() == os.defpath, "a job finds other programs than its runner gave it"


def test_a_step_from_the_cache_stays_so_when_its_layers_are_fetched() -> None:
    said: list[str] = []
    progress = Progress(lambda job, words: said.append(f"{job} {words}"))
    for line in [
        "build-app:amd64  starting shell (build)",
        "build-app:amd64  > #4 [1/3] FROM docker.io/library/busybox:1.37",
        "build-app:amd64  > #4 DONE 0.1s",
        "build-app:amd64  > #5 [stage-1 2/3] RUN make",
        "build-app:amd64  > #5 CACHED",
        "build-app:amd64  > #5 DONE 0.2s",
        "build-app:amd64  > #6 [stage-1 3/3] COPY . .",
        "build-app:amd64  > #6 DONE 0.0s",
        "build-app:amd64  finished in 1.2 s",
        "other:amd64      starting shell (build)",
        "other:amd64      finished in 1.2 s  FAIL 1",
        "manual:amd64     starting shell (build)",
        "manual:amd64     finished in 1.2 s  WARN 73",
    ]:
        progress.take(line)
    built, other, manual = progress.jobs.values()
    assert (len(built.steps), built.cached) == (2, 1), "FROM runs nothing that could be cached"
    assert (built.passed, other.passed) == (True, False)
    assert (manual.passed, manual.exit_code) == (False, 73), "a manual job that failed would look like one that passed"
    assert "build-app:amd64 RUN make: cached" in said


def test_only_branches_have_the_branchs_variable() -> None:
    """GitLab does not set it for tags and merge requests; rules and scripts distinguish these by that."""
    for trigger in Trigger:
        variables = Event(trigger=trigger, ref="x").variables("master", 1)
        assert ("CI_COMMIT_BRANCH" in variables) == (trigger not in (Trigger.TAG, Trigger.MERGE_REQUEST))


def test_a_machine_without_a_part_is_told_which_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tools, "SEARCH_PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisitesError) as raised:
        require(tmp_path)
    message = str(raised.value)
    assert "newuidmap" in message
    assert "apt-get install uidmap" in message
    assert "python -m sandbox.builds.install" in message


def test_an_unknown_event_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = argparse.Namespace(event="merge", ref="x", stack="sandbox", manual=[], project=None, variable=[])
    endpoints = Endpoints(pid=0, aws="", gitlab="", kubernetes="", providers={}, gitlab_token="")
    assert command.build(Console(), arguments, endpoints, Path()) == 1
    assert "There is no event merge; known are push, merge-request" in capsys.readouterr().err


def test_a_cached_step_that_is_fetched_for_a_later_one_counts_as_cached() -> None:
    progress = Progress(lambda job, words: None)
    for line in (
        "build-app:amd64  starting shell (test)",
        "build-app:amd64  > #9 [3/4] RUN make",
        "build-app:amd64  > #9 sha256:86b9a015 1.15MB / 1.15MB 0.0s done",
        "build-app:amd64  > #9 extracting sha256:86b9a015 0.1s done",
        "build-app:amd64  > #9 DONE 0.2s",
        "build-app:amd64  > #10 [4/4] COPY source /source",
        "build-app:amd64  > #10 DONE 0.0s",
    ):
        progress.take(line)
    steps = progress.jobs["build-app:amd64"].steps
    assert [step.cached for step in steps.values()] == [True, False]
