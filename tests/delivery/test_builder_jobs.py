"""The jobs of `.gitlab-ci.yml` that build the builder image, with stubs for BuildKit and for the tools it builds."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stacks.versions import BUILDER_VERSION
from tests.delivery.test_pipeline import ROOT, resolved
from tests.pipeline.events import Event, push, selected, started_by
from tests.pipeline.runner import SHELLS

REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/buildyard/builder"
DIGESTS = {"arm64": f"sha256:{'a' * 64}", "amd64": f"sha256:{'b' * 64}"}
BUILDKIT = """#!/bin/sh
echo "buildkit $* as $AWS_ROLE_ARN" >>"$CALLS"
while [ $# -gt 0 ]; do
  case $1 in
    *dest=*) folder=${1##*dest=}; cp "$STUBS/crane" "$folder/crane" ;;
    --metadata-file) echo "{\\"containerimage.digest\\": \\"$DIGEST\\", \\"other\\": 1}" >"$2" ;;
  esac
  shift
done
"""
CRANE = """#!/bin/sh
case $1 in digest) test -n "$PUBLISHED" || exit 1; echo "$PUBLISHED"; exit ;; esac
echo "crane $*" >>"$CALLS"
echo "$(cat "$DOCKER_CONFIG/config.json") in $AWS_REGION, pod: ${AWS_CONTAINER_CREDENTIALS_FULL_URI-none}" >>"$CALLS"
"""


@dataclass
class Workplace:
    """A checkout in which the jobs run; tools of earlier jobs are their artifacts."""

    folder: Path
    shell: list[str]

    def job(
        self, name: str, architecture: str = "amd64", published: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        job = resolved()[name]
        script = "\n".join(
            [*job["before_script"], job["script"] if isinstance(job["script"], str) else job["script"][0]]
        )
        environment = {
            "PATH": f"{self.folder / 'stubs'}:{os.environ['PATH']}",
            "STUBS": str(self.folder / "stubs"),
            "CALLS": str(self.folder / "calls"),
            "DIGEST": DIGESTS[architecture],
            "PUBLISHED": published,
            "TMPDIR": str(self.folder),
            "CI_PROJECT_DIR": str(self.folder / "checkout"),
            "AWS_ID_TOKEN": "a-token",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
            "ARCHITECTURE": architecture,
            **variables,
        }
        for key, value in job["variables"].items():
            environment[key] = re.sub(
                r"\$(\w+)", lambda each: {**job["variables"], **environment}.get(each[1], ""), value
            )
        return subprocess.run(
            [*self.shell, "-ec", script], cwd=self.folder / "checkout", env=environment, capture_output=True, text=True
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def workplace(request: pytest.FixtureRequest, tmp_path: Path) -> Workplace:
    (tmp_path / "stubs").mkdir()
    for name, text in (("buildctl-daemonless.sh", BUILDKIT), ("crane", CRANE)):
        (tmp_path / "stubs" / name).write_text(text)
        (tmp_path / "stubs" / name).chmod(0o755)
    (tmp_path / "checkout").mkdir()
    for each in ("images", "stacks"):
        (tmp_path / "checkout" / each).symlink_to(ROOT / each)
    return Workplace(tmp_path, request.param)


@pytest.mark.parametrize(
    ("error", "deployed", "said"),
    [
        ("", f"{REPOSITORY}:1.0.0", ""),
        ("An error occurred (ImageNotFoundException) when calling ...", f"{REPOSITORY}:1.0.0", "There is no"),
        ("An error occurred (AccessDeniedException) when calling ...", f"{REPOSITORY}:1.0.0", "AccessDenied"),
        ("An error occurred (ImageNotFoundException) when calling ...", "", ""),
        ("An error occurred (ImageNotFoundException) when calling ...", "registry.example.com/own:1", ""),
    ],
)
def test_an_update_without_its_builder_image_is_refused(
    workplace: Workplace, error: str, deployed: str, said: str
) -> None:
    aws = workplace.folder / "stubs" / "aws"
    failing = f"echo '{error}' >&2; exit 254" if error else ""
    aws.write_text(f'#!/bin/sh\necho "$*" >>"$CALLS"\n{failing}\n')
    aws.chmod(0o755)
    environment = {"PATH": f"{aws.parent}:{os.environ['PATH']}", "CALLS": str(workplace.folder / "calls")}
    done = subprocess.run(
        [*workplace.shell, str(ROOT / "images/builder/check.sh"), REPOSITORY, "1.2.3", deployed],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == bool(said)
    assert said in done.stderr
    if deployed.startswith(REPOSITORY):
        asked = "--region eu-central-1 --repository-name buildyard/builder --image-ids imageTag=1.2.3"
        assert workplace.calls == [f"ecr describe-images {asked}"]


@pytest.mark.parametrize(("asked", "status"), [("true", 0), ("", 1)])
def test_whoever_asks_for_an_image_that_is_there_gets_no_error(workplace: Workplace, asked: str, status: int) -> None:
    """One environment may have the version, and another not."""
    for job in ("builder:prod", "builder:prod:publish") if asked else ("builder:prod",):
        done = workplace.job(job, published=DIGESTS["amd64"], BUILD_BUILDER=asked)
        assert done.returncode == status, done.stderr
        assert "is there already" in done.stdout if asked else "exists already" in done.stderr
    assert not [call for call in workplace.calls if "push=true" in call or call.startswith("crane index")]


def test_two_builds_and_a_join_publish_the_image(workplace: Workplace) -> None:
    for architecture in ("arm64", "amd64"):
        done = workplace.job("builder:prod", architecture)
        assert done.returncode == 0, done.stderr
    tools, image, *_ = (each for each in workplace.calls if each.startswith("buildkit"))
    assert "target=tools-alone" in tools
    assert "push" not in tools, "it needs no credentials"
    assert f"name={REPOSITORY},push=true,push-by-digest=true" in image
    assert "platform=linux/arm64" in image
    assert image.endswith("as arn:aws:iam::123456789012:role/builder-buildyard-prod")
    # The tools of the other processor do not start here; the test's uname decides which ones do.
    done = workplace.job("builder:prod:publish")
    assert done.returncode == 0, done.stderr
    joined, login = workplace.calls[-2:]
    manifests = " ".join(f"--manifest {REPOSITORY}@{DIGESTS[each]}" for each in ("arm64", "amd64"))
    assert joined == f"crane index append {manifests} --tag {REPOSITORY}:{BUILDER_VERSION}"
    host = REPOSITORY.partition("/")[0]
    assert login == f'{{"credHelpers": {{"{host}": "ecr-login"}}}} in eu-central-1, pod: none', (
        "the pod's role would be used, which must not push this image"
    )


def test_a_published_version_is_not_built_again(workplace: Workplace) -> None:
    done = workplace.job("builder:prod", published=DIGESTS["amd64"])
    assert done.returncode == 1
    assert f"{REPOSITORY}:{BUILDER_VERSION} exists already" in done.stderr
    assert "raise BUILDER_VERSION" in done.stderr
    assert not any("push=true" in each for each in workplace.calls)


def test_half_an_image_is_not_published(workplace: Workplace) -> None:
    assert workplace.job("builder:prod", "amd64").returncode == 0
    done = workplace.job("builder:prod:publish")
    assert done.returncode == 1
    assert "Nothing was pushed for arm64" in done.stderr
    assert not any(each.startswith("crane index") for each in workplace.calls)


def test_jobs_run_in_the_base_of_the_image() -> None:
    image = resolved()["builder:dev"]["image"]
    dockerfile = (ROOT / "images" / "builder" / "Dockerfile").read_text()
    assert re.fullmatch(r"moby/buildkit:v[\d.]+-rootless@sha256:[0-9a-f]{64}", image)
    assert f"\nFROM {image}\n" in dockerfile


def selected_builder_jobs(event: Event) -> set[str]:
    event = Event(variables={"CI_DEFAULT_BRANCH": "main", **event.variables}, changed=event.changed)
    return {name for name in selected(resolved(), event) if name.startswith("builder:")}


ALL = {"builder:dev", "builder:dev:publish", "builder:prod", "builder:prod:publish"}
ZERO = {"CI_COMMIT_BEFORE_SHA": "0" * 40}
BUILDER_CHANGE: dict[str, Any] = {"branch": "main", "CI_COMMIT_BEFORE_SHA": "1" * 40}


@pytest.mark.parametrize(
    ("event", "jobs", "reason"),
    [
        (push("images/builder/Dockerfile", **BUILDER_CHANGE), ALL, "the image changes"),
        (push("components/runners.py", **BUILDER_CHANGE), set(), "the image does not change"),
        (push("images/builder/Dockerfile", branch="main", **ZERO), set(), "a new stack has no runners yet"),
        (push("images/builder/Dockerfile", branch="feature"), set(), "only the default branch gets the role"),
        (started_by("schedule", branch="main"), set(), "a schedule changes nothing"),
    ],
)
def test_the_image_is_built_when(event: Event, jobs: set[str], reason: str) -> None:
    variables = {**ZERO, **event.variables} if event.changed is None else event.variables
    assert selected_builder_jobs(Event(variables=variables, changed=event.changed)) == jobs, reason


def test_somebody_can_start_the_first_build() -> None:
    started = started_by("web", branch="main")
    event = Event(variables={**started.variables, **ZERO, "BUILD_BUILDER": "true"})
    assert selected_builder_jobs(event) == ALL


def test_updates_wait_for_a_new_image() -> None:
    stages = re.findall(r"^stages: \[(.*)\]$", (ROOT / ".gitlab-ci.yml").read_text(), re.MULTILINE)[0].split(", ")
    assert stages.index("builder") < stages.index("dev") < stages.index("prod"), "jobs would start in a missing image"
    for name in ("up:dev", "up:prod"):
        assert not resolved()[name].get("needs"), "it would not wait for the stages before it"
