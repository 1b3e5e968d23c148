"""Tests of outputs as variables."""

import json
import re
from pathlib import Path
from typing import Any

import gitlab
import pytest

from delivery.outputs import OutputsError, as_json, dotenv, gitlab_variables, only, variables
from sandbox.services.gitlab import access_token
from tests.components.mocks import declare
from tests.delivery.previews import SECRET
from tests.sandbox.services_gitlab.conftest import serving

HOST = "123456789012.dkr.ecr.ap-east-1.amazonaws.com"
OUTPUTS = {
    "registry-host": HOST,
    "repository-urls": {"platform/images/web": f"{HOST}/platform/images/web"},
    "builder-image": f"{HOST}/buildyard/builder:1",
    "push-role-arns": {"protected": "arn:aws:iam::123456789012:role/push"},
    "node-groups": {"protected": {"arm64": "buildyard-dev-arm64"}},
    "runners": {"protected": {"arm64": {"id": "41", "tags": ["arm64", "linux"]}}},
    "pipelines": {"platform/images": {"path": ".gitlab-ci.yml", "branch": "master", "sha256": "0" * 64}},
}
WITH_SECRET = {"registry-host": HOST, "scan-token": SECRET}
REVEALED = {"registry-host": HOST, "scan-token": "s3cret-value"}


def test_names_follow_from_the_outputs() -> None:
    assert dotenv(variables(OUTPUTS)).splitlines() == [
        f"BUILDYARD_BUILDER_IMAGE={HOST}/buildyard/builder:1",
        "BUILDYARD_NODE_GROUPS_PROTECTED_ARM64=buildyard-dev-arm64",
        "BUILDYARD_PIPELINES_PLATFORM_IMAGES_BRANCH=master",
        "BUILDYARD_PIPELINES_PLATFORM_IMAGES_PATH=.gitlab-ci.yml",
        f"BUILDYARD_PIPELINES_PLATFORM_IMAGES_SHA256={'0' * 64}",
        "BUILDYARD_PUSH_ROLE_ARNS_PROTECTED=arn:aws:iam::123456789012:role/push",
        f"BUILDYARD_REGISTRY_HOST={HOST}",
        f"BUILDYARD_REPOSITORY_URLS_PLATFORM_IMAGES_WEB={HOST}/platform/images/web",
        "BUILDYARD_RUNNERS_PROTECTED_ARM64_ID=41",
        "BUILDYARD_RUNNERS_PROTECTED_ARM64_TAGS=arm64,linux",
    ]


def test_two_outputs_of_one_name_are_refused() -> None:
    outputs = {"urls": {"images/web-app": "a", "images/web.app": "b"}}
    with pytest.raises(
        OutputsError, match=r"urls.images/web-app and urls.images/web.app would both be BUILDYARD_URLS_"
    ):
        variables(outputs)


@pytest.mark.parametrize(
    "outputs",
    [
        {f"output-{index}": "x" for index in range(21)},
        {"repository-urls": {f"image-{index}": "x" * 500 for index in range(11)}},
    ],
)
def test_what_gitlab_would_not_take_as_dotenv_is_refused_with_a_way_out(outputs: dict[str, Any]) -> None:
    with pytest.raises(OutputsError, match=r"20 in 5,120. Choose some with --only, or .* the largest: BUILDYARD_"):
        dotenv(variables(outputs))
    assert dotenv(only(variables(outputs), ["*_1"]))
    assert len(json.loads(as_json(variables(outputs)))) == len(variables(outputs)), "JSON has a limit too"


@pytest.mark.parametrize("write", [dotenv, as_json])
@pytest.mark.parametrize(
    "outputs", [WITH_SECRET, {"a": ["x", SECRET]}, {"a": {"b": {"c": SECRET}}}, {"a": "glrt-" + "x" * 20}]
)
def test_secrets_never_get_into_files_that_others_read(write: Any, outputs: dict[str, Any]) -> None:
    with pytest.raises(OutputsError, match="a secret must not be in"):
        write(variables(outputs, {"registry-host": HOST, "scan-token": "s3cret-value"}))


@pytest.mark.parametrize("value", ["two\nlines", " padded ", "nul\0"])
def test_a_value_that_dotenv_would_change_is_refused(value: str) -> None:
    with pytest.raises(OutputsError, match="BUILDYARD_ODD"):
        dotenv(variables({"odd": value}))


def test_leaving_a_secret_out_is_enough() -> None:
    assert dotenv(only(variables(WITH_SECRET), ["BUILDYARD_REGISTRY_*"])) == f"BUILDYARD_REGISTRY_HOST={HOST}\n"


def test_a_pattern_for_nothing_is_a_mistake() -> None:
    with pytest.raises(OutputsError, match=r"Did you mean BUILDYARD_REGISTRY_HOST\?"):
        only(variables(OUTPUTS), ["BUILDYARD_REGISTRY_HOTS"])


def test_gitlab_takes_the_variables_and_hides_the_secrets(tmp_path: Path) -> None:
    bodies = json.loads(gitlab_variables(variables(WITH_SECRET, REVEALED), "dev"))
    with serving(tmp_path) as url:
        project = gitlab.Gitlab(url, private_token=access_token(tmp_path)).projects.get("platform/images")
        for body in bodies:
            project.variables.create(body)
        host, token = (project.variables.get(f"BUILDYARD_{name}") for name in ("REGISTRY_HOST", "SCAN_TOKEN"))
    assert (host.value, host.masked, host.protected) == (HOST, False, False)
    assert (token.value, token.masked, token.protected) == (None, True, True), (
        "the secret can be read in GitLab's settings"
    )


def test_a_secret_without_its_value_is_refused() -> None:
    with pytest.raises(OutputsError, match="BUILDYARD_SCAN_TOKEN with --revealed"):
        gitlab_variables(variables(WITH_SECRET), "dev")


@pytest.mark.parametrize("value", ["short", "has white space"])
def test_a_secret_that_gitlab_cannot_mask_is_refused(value: str) -> None:
    with pytest.raises(OutputsError, match="cannot mask BUILDYARD_SCAN_TOKEN"):
        gitlab_variables(variables(WITH_SECRET, {**REVEALED, "scan-token": value}), "dev")


def test_the_documentation_names_every_output_of_the_program() -> None:
    """Other pipelines rely on these names: this test must fail when one changes."""
    names = set(declare().outputs)
    page = Path(__file__).parents[2] / "docs" / "delivery.md"
    documented = re.findall(r"^\| `([a-z-]+)` \| `BUILDYARD_", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == set(documented) == set(OUTPUTS)
