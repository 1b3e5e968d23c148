"""Tests of the options that authors of images set: build arguments, named contexts, stages, watched paths."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline import events
from tests.pipeline.published import files, jobs
from tests.pipeline.runner import SHELLS, Done, run
from tests.stacks.stack_settings import project

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def build(tmp_path: Path, image: dict[str, Any], *others: dict[str, Any]) -> Done:
    """Run the image's build job."""
    built = jobs(files(projects=[project({"name": "web", **image}, *others)]))
    return run(built["build-web:arm64"], tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("value", ["v1.2", "a b  c", "$(id) `id` $HOME %HOME% \\ ' \" * ;", "one\ntwo\n"])
def test_an_argument_from_a_variable_is_its_value_as_it_is(tmp_path: Path, shell: list[str], value: str) -> None:
    image = {"name": "web", "build-args": {"VALUE": {"from": "OURS"}, "LITERAL": "$OURS"}}
    job = jobs(files(projects=[project(image)]))["build-web:arm64"]
    done = run(job, tmp_path, shell=shell, OURS=value)
    assert done.status == 0, done.output
    arguments = [option for option in done.options("--opt") if option.startswith("build-arg:")]
    assert arguments == [f"build-arg:VALUE={value}", "build-arg:LITERAL=$OURS"]


def test_an_argument_from_a_variable_that_is_not_set_leaves_the_dockerfiles_default(tmp_path: Path) -> None:
    for shell in SHELLS:
        image = {"name": "web", "build-args": {"VERSION": {"from": "CI_COMMIT_TAG"}}}
        done = run(jobs(files(projects=[project(image)]))["build-web:arm64"], tmp_path, shell=shell)
        assert done.status == 0, done.output
        assert "build-arg" not in "".join(done.buildctl), "an empty argument would hide the Dockerfile's default"
        assert "" not in done.buildctl


def test_an_image_without_options_is_built_from_its_folder_alone(tmp_path: Path) -> None:
    done = build(tmp_path, {"context": "."})
    assert done.options("--local") == ["context=.", "dockerfile=."]
    assert not [each for each in done.options("--opt") if each.startswith(("target=", "build-arg:", "context:"))], (
        "BuildKit would look for a stage that the Dockerfile does not have"
    )


def test_named_contexts_are_folders_or_images(tmp_path: Path) -> None:
    pinned = f"docker-image://alpine:3.22@{DIGEST}"
    done = build(tmp_path, {"contexts": {"assets": "some assets", "dockerfile": "docs", "tools": pinned}})
    assert done.options("--local") == [
        "context=images/web",
        "dockerfile=images/web",
        "named-assets=some assets",
        "named-dockerfile=docs",
    ], "a named context would replace the folder of the Dockerfile"
    contexts = [option for option in done.options("--opt") if option.startswith("context:")]
    assert contexts == [
        "context:assets=local:named-assets",
        "context:dockerfile=local:named-dockerfile",
        f"context:tools={pinned}",
    ]


STAGES = """\
# syntax=docker/dockerfile:1
{escape}
FROM scratch AS other
RUN echo "a <<EOF" \\
  # FROM x AS base
  \\

  FROM x AS base
RUN <<-'EOF' cat
FROM x AS base
\tEOF
COPY <<A <<"B" /somewhere/
FROM x AS base
A
FROM x AS base
B
# FROM x AS base
FROM base AS {stage}
"""


@pytest.mark.parametrize("stage", ["base", "Base", "assets"])
def test_a_stage_with_the_name_of_a_dependency_or_context_is_refused(tmp_path: Path, stage: str) -> None:
    done = build_stages(tmp_path, STAGES.format(escape="#", stage=stage))
    assert done.status == 1
    assert f"images/web/Dockerfile has a stage {stage}, and {stage.lower()} is also in" in done.output
    assert f"Rename the stage: FROM base AS {stage}" in done.output
    assert not (done.record / "buildctl").exists(), "BuildKit would have built something else than the Dockerfile says"


@pytest.mark.parametrize("escape", ["#", "# escape=\\"])
def test_text_that_only_looks_like_a_stage_is_no_stage(tmp_path: Path, escape: str) -> None:
    done = build_stages(tmp_path, STAGES.format(escape=escape, stage="final"))
    assert done.status == 0, done.output


def test_another_escape_sign_continues_lines(tmp_path: Path) -> None:
    dockerfile = "# escape=`\nFROM scratch `\n  AS base\nRUN dir C:\\\nFROM base AS x\n"
    assert "has a stage base" in build_stages(tmp_path, dockerfile).output
    done = build_stages(tmp_path, dockerfile.replace("  AS base", "  AS y").replace("AS x", "AS base"))
    assert "has a stage base" in done.output, "a backslash would hide the next line"


@pytest.mark.parametrize(
    "dockerfile", ["FROM scratch AS base2 \\", "\ufeffFROM scratch", "RUN <<EOF\n", "RUN a 'b <<EOF"]
)
def test_a_dockerfile_that_ends_early_is_left_to_buildkit(tmp_path: Path, dockerfile: str) -> None:
    assert build_stages(tmp_path, dockerfile).status == 0


def build_stages(tmp_path: Path, dockerfile: str) -> Done:
    folder = tmp_path / "project" / "images" / "web"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)
    return build(tmp_path, {"depends-on": ["base"], "contexts": {"assets": "assets"}}, {"name": "base"})


def starts(image: dict[str, Any], *changed: str) -> bool:
    """Whether a push of these files builds the image."""
    context = {} if "context" in image else {"context": "."}
    published = files(projects=[project({"name": "web", **context, **image}, **{"default-branch": "master"})])
    return events.selected(jobs(published), events.push(*changed)).get("build-web:arm64") == "on_success"


@pytest.mark.parametrize(
    ("changed", "built"),
    [
        ("app/main.go", True),
        ("app/deep/inside/main.go", True),
        ("go.mod", True),
        ("lib/x/one.go", True),
        ("lib/x/y/one.go", False),
        ("proto/a/b/c.proto", True),
        ("proto/c.proto", True),
        ("proto/c.md", False),
        ("cost%NAME$.txt", True),
        ("Dockerfile", True),
        ("README.md", False),
        ("application/main.go", False),
    ],
)
def test_watched_paths_decide_instead_of_the_context(changed: str, built: bool) -> None:
    watch = ["app", "go.mod", "lib/*/*.go", "proto/**/*.proto", "cost%NAME$.txt"]
    assert starts({"watch": watch}, changed) is built


def test_without_watch_the_context_and_the_named_folders_decide() -> None:
    image = {"context": "images/web", "contexts": {"assets": "assets", "tools": f"docker-image://alpine@{DIGEST}"}}
    assert starts(image, "images/web/x")
    assert starts(image, "assets/deep/logo.svg")
    assert not starts(image, "docs/x")
    assert starts({**image, "contexts": {"all": "."}}, "docs/x")
    assert starts({"context": ".", "watch": ["app", "."]}, "docs/x")


def test_a_dependents_build_starts_by_what_its_dependency_watches() -> None:
    base = {"name": "base", "context": ".", "watch": ["base"]}
    web = {"name": "web", "depends-on": ["base"]}
    published = jobs(files(projects=[project(base, web, **{"default-branch": "master"})]))
    assert events.selected(published, events.push("base/x"))["build-web:arm64"] == "on_success"
    assert events.selected(published, events.push("other/x"))["build-web:arm64"] == "manual"


def test_a_test_is_one_instruction_with_the_command_as_it_is_written() -> None:
    command = "diff <(a) b < 'c' && cat <<<\"$HOME\""
    job = jobs(files(projects=[project({"name": "web", "test": command})]))["build-web:arm64"]
    [call] = [line for line in job["script"][0].splitlines() if line.startswith("test_image ")]
    given = shlex.split(call)[-1]
    assert json.loads(given) == ["/bin/sh", "-c", command]
    assert "<" not in given, "`<<` could begin a here-document"


def test_no_argument_reaches_gitlabs_expansion() -> None:
    image = {"name": "web", "build-args": {"VERSION": {"from": "CI_COMMIT_TAG"}}}
    job = jobs(files(projects=[project(image)]))["build-web:arm64"]
    assert not [value for value in job["variables"].values() if "CI_COMMIT_TAG" in value]
    [script] = job["script"]
    assert '"build-arg:VERSION=$CI_COMMIT_TAG"' in script, "the job's shell expands it, once"


@pytest.mark.parametrize(("compression", "end"), [("gzip", ",oci-mediatypes=true"), ("zstd", ",compression=zstd")])
def test_the_image_and_its_cache_have_the_stacks_compression(tmp_path: Path, compression: str, end: str) -> None:
    built = jobs(files(projects=[project({"name": "web"})], registry={"compression": compression}))
    for shell in SHELLS:
        done = run(built["build-web:arm64"], tmp_path, shell=shell)
        [image], [cache] = done.options("--output"), done.options("--export-cache")
        assert image.endswith(end)
        assert cache.removesuffix(",ignore-error=true").endswith(end)
        assert "force-compression" not in image, "every image would pull and upload its base again"
