"""Settings of images that are retired or deleted: what is refused, and why."""

from typing import Any

from stacks.trust import Tier
from tests.stacks.stack_settings import problems, project, settings

BASE = {"name": "base", "retired": True}


def test_a_retired_image_is_not_pushed_and_keeps_its_repository() -> None:
    read = settings(projects=[project(BASE, {"name": "web"})], trust="isolated")
    assert [*read.pushed_repositories(Tier.PROTECTED)] == ["platform/images/web"]
    assert "platform/images/base" in read.release_repositories


def test_what_is_built_on_a_retired_image_is_refused_with_the_way_out() -> None:
    found = problems(projects=[project(BASE, {"name": "web", "depends-on": ["base"]})])
    problem = found["buildyard:projects[0].images[1].depends-on[0]"]
    assert problem.message == "base is retired, so no pipeline builds it for web"
    assert "docker-image://REGISTRY/platform/images/base:TAG@sha256:DIGEST" in problem.hint
    assert len(found) == 1


def test_the_way_out_is_accepted() -> None:
    pinned = f"docker-image://123456789012.dkr.ecr.ap-east-1.amazonaws.com/platform/images/base:v1@sha256:{'0' * 64}"
    web = {"name": "web", "contexts": {"base": pinned}}
    projects, registry = [project(BASE, web)], {"pull-from": ["platform/images/base"]}
    assert settings(projects=projects, registry=registry, trust="isolated")


def test_images_that_are_retired_together_may_depend_on_each_other() -> None:
    assert settings(projects=[project(BASE, {"name": "web", "depends-on": ["base"], "retired": True}, {"name": "x"})])


def test_a_stack_that_builds_nothing_is_refused() -> None:
    problem = problems(projects=[project(BASE)])["buildyard:projects"]
    assert "`pulumi destroy`, which keeps the repositories" in problem.hint


def test_a_word_for_a_deletion_must_concern_something() -> None:
    registry: dict[str, Any] = {"prefix": "dev", "delete-images": ["dev/platform/images/wbe", "platform/images/web"]}
    found = problems(projects=[project({"name": "web"})], registry=registry)
    assert found.keys() == {f"buildyard:registry.delete-images[{position}]" for position in (0, 1)}
    assert "Did you mean dev/platform/images/web?" in found["buildyard:registry.delete-images[0]"].hint
    builder = {"delete-images": ["platform/images/web", "buildyard/builder"]}
    assert settings(projects=[project({"name": "web"})], registry=builder)
