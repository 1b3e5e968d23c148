"""Builds with zstd: what is in the registry, who reads it, and what the next build takes from the cache."""

import json
import subprocess
from typing import Any

import pytest

from sandbox.builds import tools
from stacks import tags
from tests.sandbox.builds.environments import Environment, job, words
from tests.sandbox.builds.example_group import ImageProject

pytestmark = pytest.mark.builds
BUILD = "build-app:amd64"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
STAGES = {
    "app/Dockerfile": "FROM busybox:1.37 AS made\nCOPY dependencies /dependencies\nRUN cat /dependencies >/installed\n"
    "FROM busybox:1.37\nCOPY --from=made /installed /installed\nCOPY source /source\n",
    "app/dependencies": "one\n",
    "app/source": "print 1\n",
}


def read(environment: Environment, project: ImageProject, tag: str) -> Any:
    found = environment.builds.images.read(f"{project.path}/app/manifests/{tag}")
    for child in found.get("manifests", ()):
        found = environment.builds.images.read(f"{project.path}/app/manifests/{child['digest']}")
    return found


def cache(environment: Environment, project: ImageProject) -> list[str]:
    """The media types of the cache's layers."""
    [tag] = [each for each in environment.tags(project) if each.startswith(tags.CACHE_PREFIX)]
    return [layer["mediaType"] for layer in read(environment, project, tag)["layers"]]


def test_new_layers_are_zstd_and_those_of_the_base_stay_as_they_are(environment: Environment) -> None:
    project = environment.project(files=STAGES, registry={"compression": "zstd"})
    result = environment.build(project)
    assert result.passed, words(job(result, BUILD))
    base, *own = [layer["mediaType"] for layer in read(environment, project, "latest")["layers"]]
    assert base != ZSTD, "the base was pulled, recompressed and uploaded again"
    assert own == [ZSTD, ZSTD]
    others = [each for each in cache(environment, project) if each != ZSTD]
    assert others == [base], "the layers of other stages were compressed with gzip for the cache"


def test_crane_reads_zstd_and_the_next_build_takes_it_from_the_cache(environment: Environment) -> None:
    project = environment.project(files=STAGES, registry={"compression": "zstd"})
    environment.build(project)
    reference = f"{environment.builds.images.address}/{project.path}/app:latest"
    exported = subprocess.run(
        [tools.program("crane"), "export", reference, "-"], stdout=subprocess.PIPE, check=True
    ).stdout
    assert b"print 1" in exported
    again = job(environment.build(project), BUILD)
    assert again.cached == len(again.steps) > 0, words(again)
    project.commit({"app/source": "print 2\n"})
    changed = job(environment.build(project), BUILD)
    assert changed.passed, words(changed)
    assert changed.cached == len(changed.steps) - 1, "the layers of the cache could not be read"


def test_a_stack_that_asks_for_nothing_gets_gzip(environment: Environment) -> None:
    project = environment.project(files=STAGES)
    assert environment.build(project).passed
    assert ZSTD not in json.dumps(read(environment, project, "latest")) + "".join(cache(environment, project))
