"""Secrets of images in real builds: what a `RUN` step sees, and what happens without them."""

from typing import Any

import pytest

from sandbox.builds.events import Event, Trigger
from sandbox.builds.progress import Job
from tests.sandbox.builds.environments import Environment, job, words
from tests.sandbox.builds.example_group import ImageProject

pytestmark = pytest.mark.builds

SECRET = "first line of the file\nhunter2-marked"
IMAGES = [{"name": "app", "context": "app", "architectures": ["amd64"], "secrets": {"NPM_rc": "NPM_TOKEN"}}]
DOCKERFILE = """\
FROM busybox:1.37
RUN --mount=type=secret,id=NPM_rc,required=true \\
    grep -qx 'first line of the file' /run/secrets/NPM_rc && grep -qx hunter2-marked /run/secrets/NPM_rc
"""


def project(environment: Environment, **variable: Any) -> ImageProject:
    """A project whose image needs a secret, with a variable for it if `variable` says what it is."""
    made = environment.project(IMAGES, {"app/Dockerfile": DOCKERFILE})
    if variable:
        environment.group.api.projects.get(made.path).variables.create({"key": "NPM_TOKEN", **variable})
    return made


def built(environment: Environment, made: ImageProject, event: Event | None = None) -> Job:
    return job(environment.build(made, event), "build-app:amd64")


@pytest.mark.parametrize("kind", ["env_var", "file"])
def test_a_step_sees_the_secret(environment: Environment, kind: str) -> None:
    done = built(environment, project(environment, variable_type=kind, value=SECRET))
    assert done.passed, words(done)
    assert done.steps
    assert "hunter2" not in words(done).replace(DOCKERFILE.splitlines()[2].strip(), "")


@pytest.mark.parametrize(
    "variable", [{}, {"variable_type": "file", "value": ""}, {"variable_type": "env_var", "value": ""}]
)
def test_without_the_secret_no_build_starts(environment: Environment, variable: dict[str, str]) -> None:
    done = built(environment, project(environment, **variable))
    assert done.passed is False
    assert "The CI/CD variable NPM_TOKEN, for the secret NPM_rc, is empty or not set." in words(done)
    assert not done.steps, "an image would be built with an empty secret"


def test_a_merge_request_gets_no_protected_secret_and_builds_nothing(environment: Environment) -> None:
    made = project(environment, variable_type="file", value=SECRET, protected=True)
    assert built(environment, made).passed
    made.commit({"app/Dockerfile": f"{DOCKERFILE}RUN true\n"}, branch="feature", start="master")
    done = built(environment, made, Event(trigger=Trigger.MERGE_REQUEST, ref="feature"))
    assert done.passed is False
    assert "GitLab passes a protected variable only to pipelines of protected branches and tags" in words(done)
    assert not done.steps
