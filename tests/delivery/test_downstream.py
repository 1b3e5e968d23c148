"""Tests that run the example pipeline for a stack's outputs, with the names that the program exports."""

import subprocess
import sys
from pathlib import Path

import pytest

from delivery.outputs import dotenv, only, variables
from tests.components.answers import REGISTRY
from tests.components.mocks import declare
from tests.delivery.checkout import Checkout
from tests.pipeline.conftest import GitLabCiLocal

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "deploy-by-digest.gitlab-ci.yml"
DIGEST = f"sha256:{'a' * 64}"
KUBECTL = '#!/bin/sh\necho "kubectl $*" >> "$CALLS"\n'
CRANE = f"""#!/bin/sh
echo "crane $* with $(cat "$DOCKER_CONFIG/config.json")" >> "$CALLS"
case "$2" in *:latest) echo {DIGEST} ;; *) exit 1 ;; esac
"""


@pytest.fixture
def checkout(tmp_path: Path, gitlab_ci_local: GitLabCiLocal, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    tools = {"crane": CRANE, "kubectl": KUBECTL}
    return Checkout(tmp_path, gitlab_ci_local, monkeypatch, pipeline=EXAMPLE.read_text(encoding="utf-8"), tools=tools)


@pytest.fixture
def report() -> dict[str, str]:
    """The variables of the dotenv report of `up`."""
    text = dotenv(only(variables(declare().outputs), ["BUILDYARD_REGISTRY_HOST"]))
    return dict(line.split("=", 1) for line in text.splitlines())


def test_gitlabs_schema_takes_the_example() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(EXAMPLE)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_an_image_is_deployed_by_its_digest(checkout: Checkout, report: dict[str, str]) -> None:
    checkout.job("deploy", **report)
    image = f"{REGISTRY}/platform/images/web"
    assert checkout.calls == [
        f'crane digest {image}:latest with {{"credHelpers":{{"{REGISTRY}":"ecr-login"}}}}',
        f"kubectl --namespace web set image deployment/web web={image}@{DIGEST}",
        "kubectl --namespace web rollout status deployment/web --timeout 10m",
    ]


def test_a_tag_that_is_not_there_deploys_nothing(checkout: Checkout, report: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        checkout.job("deploy", IMAGE_TAG="v9", **report)
    assert not any(call.startswith("kubectl") for call in checkout.calls), (
        "something is deployed although the tag was not found"
    )
