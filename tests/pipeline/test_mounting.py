"""Tests of the mounts of a base's layers that a build job asks for. Real builds show that they save the upload."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.published import HOST, files, jobs
from tests.pipeline.runner import SHELLS, run
from tests.stacks.stack_settings import project

IMAGES = project({"name": "base"}, {"name": "web", "depends-on": ["base"]})


def job(name: str, **registry: Any) -> dict[str, Any]:
    return jobs(files(projects=[IMAGES], registry=registry))[f"build-{name}:arm64"]


@pytest.mark.parametrize("setting", [True, "elsewhere"])
def test_an_image_with_dependencies_mounts_their_layers_before_it_is_built(setting: Any) -> None:
    [script] = job("web", **{"blob-mounting": setting})["script"]
    mount = f'mount_layers "$(own_repository {HOST}/platform/images/web)" $named_contexts'
    assert script.index("use_images") < script.index(mount) < script.index("build_image")
    assert "mount_layers" not in str(job("base", **{"blob-mounting": setting})["script"])
    assert "mount_layers" not in str(job("web")), "builds would ask for mounts that ECR does not make"


def test_the_pipeline_of_images_without_dependencies_stays_as_it_is() -> None:
    alone = [project({"name": "base"})]
    assert files(projects=alone, registry={"blob-mounting": True}) == files(projects=alone)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_registry_that_mounts_nothing_fails_no_job(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "record").mkdir()
    manifests = {"sha256:a": {"config": {}, "layers": [{"digest": "sha256:1", "size": 1}]}}
    (tmp_path / "record" / "registry.json").write_text(
        json.dumps({"manifests": manifests, "tags": {"latest": "sha256:a"}, "calls": []})
    )
    done = run(job("web", **{"blob-mounting": True}), tmp_path, shell=shell, HTTPS_PROXY="http://127.0.0.1:1")
    assert done.status == 0, done.output
    assert "ECR mounts 0 of 1 layers of the images that this one is built on." in done.output
    assert (done.record / "buildctl").exists()
