"""Tests of the build jobs' script: how it calls BuildKit."""

import json
import os
import re
import string
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.scripts.faults import Fault
from stacks import tags
from tests.pipeline.published import HOST, SEVERAL_IMAGES, files, jobs
from tests.pipeline.runner import SHELLS, STUBS, run
from tests.stacks.stack_settings import project

JOBS = jobs(files())
TOOLBOX = f"{HOST}/platform/images/toolbox"
TOKEN = "npm-hunter2"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_image_is_built_for_its_platform_and_pushed_by_digest(tmp_path: Path, shell: list[str]) -> None:
    done = run(JOBS["build-toolbox:arm64"], tmp_path, shell=shell)
    assert done.status == 0, done.output
    assert done.options("--local") == ["context=images/toolbox", "dockerfile=images/toolbox"]
    assert {"filename=Dockerfile", "platform=linux/arm64"} <= set(done.options("--opt"))
    (output,) = done.options("--output")
    assert f"name={TOOLBOX},push=true,push-by-digest=true" in output, (
        "a build would take the tag before the other architecture is built"
    )
    handed_over = json.loads((done.project / ".buildyard" / "toolbox-arm64.json").read_text())
    assert handed_over == {"containerimage.digest": "sha256:built"}


def test_a_dockerfile_outside_the_context_is_found(tmp_path: Path) -> None:
    done = run(JOBS["build-web:amd64"], tmp_path, NPM_TOKEN=TOKEN)
    assert done.options("--local") == ["context=images/web", "dockerfile=images/docker"]
    assert "filename=web.Dockerfile" in done.options("--opt")


def test_target_secrets_and_build_args_arrive_as_written(tmp_path: Path) -> None:
    done = run(JOBS["build-web:amd64"], tmp_path, HOME="/not/here", NPM_TOKEN=TOKEN)
    assert {"target=production", "build-arg:GREETING=it's $HOME, 100%", "build-arg:LINES=one\ntwo"} <= set(
        done.options("--opt")
    )
    assert done.options("--secret") == ["id=npm,env=NPM_TOKEN"], "a secret's value must not be in the command line"
    assert TOKEN not in done.output + "".join(done.buildctl)


def test_a_secret_of_the_type_file_is_the_files_content(tmp_path: Path) -> None:
    file = tmp_path / "project.tmp" / "NPM_TOKEN"
    file.parent.mkdir()
    file.write_text(TOKEN)
    for shell in SHELLS:
        done = run(JOBS["build-web:amd64"], tmp_path, shell=shell, NPM_TOKEN=str(file))
        assert done.options("--secret") == [f"id=npm,src={file}"], "a build would use the file's path as the token"
        assert TOKEN not in done.output


def test_a_value_that_is_only_like_a_files_path_is_a_value(tmp_path: Path) -> None:
    for path in ("/etc/passwd", str(tmp_path / "project.tmp" / "OTHER")):
        done = run(JOBS["build-web:amd64"], tmp_path, NPM_TOKEN=path)
        assert done.options("--secret") == ["id=npm,env=NPM_TOKEN"], "a variable would choose a file of the job"


@pytest.mark.parametrize("kind", ["not set", "empty", "empty file"])
def test_a_secret_that_is_missing_fails_the_job_before_the_build(tmp_path: Path, kind: str) -> None:
    variables = {"NPM_TOKEN": str(tmp_path / "project.tmp" / "NPM_TOKEN")} if kind == "empty file" else {}
    (tmp_path / "project.tmp").mkdir()
    (tmp_path / "project.tmp" / "NPM_TOKEN").touch()
    job = JOBS["build-web:amd64"]
    if kind == "empty":
        job = {**job, "script": ["export NPM_TOKEN=", *job["script"]]}
    for shell in SHELLS:
        done = run(job, tmp_path, shell=shell, **variables)
        assert done.status == 1, "GitLab would retry the job, or BuildKit build with an empty secret"
        assert "The CI/CD variable NPM_TOKEN, for the secret npm, is empty or not set." in done.output
        assert not (done.record / "buildctl").exists()


@settings(deadline=None, max_examples=25)
@example(value="a\rb\r\n\u2028\x85\ufeff", folder="images")
@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    folder=st.text(string.ascii_letters + " '\"$%\\[]{}*?`!#&;|<>~^()=,-é", min_size=1, max_size=20).filter(
        lambda path: path.strip() == path
    ),
)
def test_any_text_survives_yaml_gitlab_and_the_shell(value: str, folder: str) -> None:
    image = {"name": "odd_name-1.x", "context": folder, "build-args": {"VALUE": value}}
    built = jobs(files(projects=[project(image)]))
    with TemporaryDirectory() as temporary:
        done = run(built["build-odd_name-1.x:arm64"], Path(temporary))
        assert done.status == 0, done.output
        assert f"build-arg:VALUE={value}" in done.options("--opt")
        assert done.options("--local")[0] == f"context={folder}"
        assert (done.project / ".buildyard" / "odd_name-1.x-arm64.json").exists()


def test_labels_say_revision_source_and_time(tmp_path: Path) -> None:
    labels = {
        option.removeprefix("label:").removeprefix("org.opencontainers.image.")
        for option in run(JOBS["build-base:arm64"], tmp_path).options("--opt")
        if option.startswith("label:")
    }
    assert labels == {
        "revision=0123456789abcdef0123456789abcdef01234567",
        "source=https://gitlab.example.com/platform/images",
        "created=2026-01-02T16:30:00Z",
        "buildyard.pipeline=7/41",
    }


def test_the_images_time_is_the_commits(tmp_path: Path) -> None:
    environment = run(JOBS["build-base:arm64"], tmp_path).environment
    assert environment["SOURCE_DATE_EPOCH"] == "1767323045", "a retry would have another digest"


def test_the_daemon_has_time_to_start_on_a_busy_node(tmp_path: Path) -> None:
    environment = run(JOBS["build-base:arm64"], tmp_path).environment
    assert int(environment["BUILDCTL_CONNECT_RETRIES_MAX"]) > 10
    assert environment["BUILDKITD_FLAGS"] == "--oci-worker-no-process-sandbox"


def caches(done_options: list[str]) -> list[str]:
    return [option.split("ref=")[1].split(",")[0].split(":")[-1] for option in done_options]


def test_a_branch_reads_its_own_cache_then_the_default_branchs_and_writes_its_own(tmp_path: Path) -> None:
    done = run(JOBS["build-toolbox:arm64"], tmp_path)
    own, default = caches(done.options("--import-cache"))
    assert own.startswith(f"{tags.CACHE_PREFIX}feature-one-")
    assert own.endswith("-arm64")
    assert default.startswith(f"{tags.CACHE_PREFIX}master-")
    assert caches(done.options("--export-cache")) == [own], "a branch would overwrite another's cache"
    (export,) = done.options("--export-cache")
    assert "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true" in export


def test_the_default_branch_reads_and_writes_the_cache_that_others_fall_back_to(tmp_path: Path) -> None:
    (fallback,) = caches(run(JOBS["build-base:arm64"], tmp_path).options("--import-cache"))[1:]
    done = run(JOBS["build-base:arm64"], tmp_path, CI_COMMIT_REF_NAME="master", CI_COMMIT_BRANCH="master")
    assert caches(done.options("--import-cache")) == caches(done.options("--export-cache")) == [fallback]


def test_a_tag_reads_the_default_branchs_cache_and_writes_none(tmp_path: Path) -> None:
    done = run(JOBS["build-base:arm64"], tmp_path, CI_COMMIT_TAG="v1", CI_COMMIT_REF_NAME="v1", CI_COMMIT_BRANCH="")
    assert [
        cache.removeprefix(tags.CACHE_PREFIX).split("-")[0] for cache in caches(done.options("--import-cache"))
    ] == ["master"]
    assert done.options("--export-cache") == []


def test_no_two_refs_or_architectures_share_a_cache(tmp_path: Path) -> None:
    refs = ["a/b", "a-b", "A-B", "a.b", "x" * 200, "x" * 201, "ü", "é", "日本"]
    found = {}
    for ref in refs:
        for architecture in ("arm64", "amd64"):
            done = run(JOBS[f"build-base:{architecture}"], tmp_path, CI_COMMIT_REF_NAME=ref)
            (found[ref, architecture],) = caches(done.options("--export-cache"))
    assert len(set(found.values())) == len(found), "two builds would overwrite each other's cache"
    assert all(len(tag) <= 128 and tag.isascii() and tag.replace("-", "").isalnum() for tag in found.values())


def test_a_forks_branch_does_not_write_the_cache_of_ours_of_the_same_name(tmp_path: Path) -> None:
    ours = run(JOBS["build-base:arm64"], tmp_path, CI_COMMIT_REF_NAME="master").options("--export-cache")
    fork = run(
        JOBS["build-base:arm64"], tmp_path, CI_COMMIT_REF_NAME="master", CI_MERGE_REQUEST_SOURCE_PROJECT_ID="8"
    ).options("--export-cache")
    assert caches(fork) != caches(ours)


def test_from_base_is_the_image_just_built_else_the_published_one(tmp_path: Path) -> None:
    context = f"context:base=docker-image://{HOST}/platform/images/base"
    assert f"{context}:{tags.LATEST}" in run(JOBS["build-web:arm64"], tmp_path, NPM_TOKEN=TOKEN).options("--opt")
    handed_over = tmp_path / "project" / ".buildyard"
    (handed_over / "base.digest").write_text("sha256:base\n")
    done = run(JOBS["build-web:arm64"], tmp_path, NPM_TOKEN=TOKEN)
    assert f"{context}@sha256:base" in done.options("--opt")
    assert ".buildyard" not in (done.record / "files").read_text().split(), (
        "a context that contains it would miss its cache"
    )


def test_a_failed_build_fails_with_buildkits_own_error_and_hands_over_nothing(tmp_path: Path) -> None:
    for status, expected in ((1, 1), (2, 2), (137, Fault.MEMORY)):
        done = run(JOBS["build-base:arm64"], tmp_path, STUB_FAIL=str(status))
        assert done.status == expected, "GitLab could not tell a lost node from a broken Dockerfile"
        assert "failed to solve" in done.output
        assert not (done.project / ".buildyard").exists()


def test_the_registry_alone_is_logged_in_to_by_ecrs_helper(tmp_path: Path) -> None:
    for name in ("build-base:arm64", "build-base:manifest"):
        job = {**JOBS[name], "script": ['cp "$DOCKER_CONFIG/config.json" "$STUB_RECORD"']}
        done = run(job, tmp_path)
        assert json.loads((done.record / "config.json").read_text()) == {"credHelpers": {HOST: "ecr-login"}}


def test_the_registrys_token_is_asked_for_before_buildkit_needs_it(tmp_path: Path) -> None:
    done = run(JOBS["build-base:arm64"], tmp_path)
    asked = done.record / "helper"
    deadline = time.monotonic() + 10  # it runs in the background, and a job does not wait for it
    while not asked.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert asked.read_text() == HOST


def test_a_helper_that_cannot_answer_yet_does_not_fail_the_job(tmp_path: Path) -> None:
    without = tmp_path / "bin"
    without.mkdir()
    (without / "docker-credential-ecr-login").write_text("#!/bin/sh\necho no credentials >&2; exit 1\n")
    (without / "docker-credential-ecr-login").chmod(0o755)
    done = run(JOBS["build-base:arm64"], tmp_path, PATH=f"{without}:{STUBS}:{os.environ['PATH']}")
    assert done.status == 0, done.output
    assert "no credentials" not in done.output, "people would look for an error although there may be none"


def test_scripts_are_the_same_for_all_images_but_for_one_call() -> None:
    assert SEVERAL_IMAGES.count("- name:") == 4
    assert JOBS["build-base:arm64"]["before_script"] == JOBS["build-web:arm64"]["before_script"]
    calls = re.findall(r"^\w+", "\n".join(JOBS["build-base:arm64"]["script"]), re.MULTILINE)
    assert calls == ["use_images", "build_image", "report_metrics"]
