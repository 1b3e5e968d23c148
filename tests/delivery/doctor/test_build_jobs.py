"""The pipeline of test builds, and the choice of the image."""

from pathlib import Path
from typing import Any

import pytest

from delivery.doctor.build_jobs import choose, pipeline_text
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.render import render
from stacks.architecture import Architecture
from stacks.problems import SettingsError
from stacks.settings import Settings
from tests.pipeline.published import assert_valid, loaded
from tests.stacks.stack_settings import project, settings

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ARM64, AMD64 = Architecture.ARM64, Architecture.AMD64


def stack(*images: dict[str, Any], **keys: Any) -> Settings:
    return settings(trust="isolated", projects=[project(*images, **keys)])


def text(of: Settings, image: str, *architectures: Architecture) -> str:
    inputs = PipelineInputs(settings=of, project=of.projects[0], registry_host=HOST, source="stacks/Pulumi.test.yaml")
    return pipeline_text(inputs, inputs.image(image), architectures, ".gitlab-ci.yml")


def chosen(of: Settings, name: str | None = None) -> dict[str, str]:
    return {str(architecture): each.path for architecture, each in choose(of, name, source="test").items()}


IMAGES = ({"name": "base"}, {"name": "web", "depends-on": ["base"], "test": "true", "lint": True})


def test_only_the_build_jobs_of_one_image_run() -> None:
    content = loaded(text(stack(*IMAGES), "web", ARM64, AMD64))
    jobs = {name for name, job in content.items() if isinstance(job, dict) and "extends" in job and name[0] != "."}
    assert jobs == {"build-web:arm64", "build-web:amd64"}, "a manifest job would publish a tag"
    for name in jobs:
        assert content[name]["rules"] == [{"when": "on_success"}]
        assert content[name]["needs"] == [], "the job would wait for one that is not there"
    assert content["workflow"]["rules"] == [{"if": "$CI_COMMIT_BRANCH"}]


def test_a_runner_that_takes_no_jobs_gets_none() -> None:
    assert "build-web:amd64" not in loaded(text(stack(*IMAGES), "web", ARM64))


def test_they_are_the_published_jobs_themselves() -> None:
    of = stack(*IMAGES)
    inputs = PipelineInputs(settings=of, project=of.projects[0], registry_host=HOST, source="stacks/Pulumi.test.yaml")
    [published] = render(generate(inputs))
    whole, test = loaded(published.text), loaded(text(of, "web", ARM64))
    for name in (".buildyard-job", ".buildyard-build", ".buildyard-arm64", ".buildyard-image-web"):
        assert repr(test[name]) == repr(whole[name]), "a test build would show nothing about builds"


@pytest.mark.parametrize("path", [".gitlab-ci.yml", ".gitlab/buildyard.yml"])
def test_gitlabs_schema_takes_it(path: str, tmp_path: Path) -> None:
    of = stack(*IMAGES, **{"pipeline-path": path, "stage": "build" if path == ".gitlab-ci.yml" else "images"})
    written = text(of, "web", ARM64, AMD64)
    assert_valid(written, tmp_path)
    assert loaded(written)["stages"] == [of.projects[0].stage], "a whole pipeline must name its stage"


def test_the_cheapest_image_that_needs_nothing_is_built() -> None:
    images = (
        {"name": "big", "resources": {"cpu": {"request": "6", "limit": "8"}}},
        {"name": "secret", "secrets": {"token": "TOKEN"}, "resources": {"cpu": {"request": "100m"}}},
        {"name": "small", "resources": {"cpu": {"request": "500m"}}},
        {"name": "web", "depends-on": ["small"], "resources": {"cpu": {"request": "100m"}}},
    )
    assert chosen(stack(*images)) == {"arm64": "platform/images/small", "amd64": "platform/images/small"}


def test_each_architecture_gets_an_image_that_is_built_for_it() -> None:
    images = ({"name": "a", "architectures": ["amd64"]}, {"name": "b", "architectures": ["arm64"]})
    assert chosen(stack(*images)) == {"amd64": "platform/images/a", "arm64": "platform/images/b"}
    assert chosen(stack(images[0])) == {"amd64": "platform/images/a"}


def test_if_every_image_needs_something_one_of_them_is_built_all_the_same() -> None:
    assert set(chosen(stack({"name": "a", "secrets": {"t": "T"}})).values()) == {"platform/images/a"}


def test_somebody_names_the_image() -> None:
    of = settings(
        trust="isolated",
        runners={"group": "platform"},
        projects=[project({"name": "a"}, {"name": "web"}), project({"name": "a"}, path="platform/other")],
    )
    assert set(chosen(of, "web").values()) == {"platform/images/web"}
    assert set(chosen(of, "platform/other/a").values()) == {"platform/other/a"}
    with pytest.raises(SettingsError, match="Use one of platform/images/a, platform/other/a"):
        chosen(of, "a")
    with pytest.raises(SettingsError, match="no image wep"):
        chosen(of, "wep")
