"""Published pipelines, parsed from their text as GitLab parses them."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline import size
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.render import PipelineFile, render
from stacks.partitions import registry_host
from tests.stacks.stack_settings import settings

SOURCE = "stacks/Pulumi.test.yaml"
HOST = registry_host("123456789012", "ap-east-1")

NOT_JOBS = ("include", "stages", "workflow", "variables", "default")

SEVERAL_IMAGES = """
cluster: {name: ci}
projects:
  - path: platform/images
    default-branch: master
    time-zone: Asia/Hong_Kong
    images:
      - name: toolbox
        context: images/toolbox
        resources:
          cpu: {request: "6", limit: "8"}
          memory: {request: 13Gi, limit: 15Gi}
          ephemeral-storage: {request: 50Gi}
      - name: base
        context: images/base
      - name: web
        context: images/web
        dockerfile: ../docker/web.Dockerfile
        depends-on: [base]
        target: production
        build-args: {GREETING: "it's $HOME, 100%", LINES: "one\\ntwo"}
        secrets: {npm: NPM_TOKEN}
        timeout-minutes: 90
      - name: sensor
        context: images/sensor
        architectures: [arm64]
"""


class _Reference(list[str]):
    pass


class _Loader(yaml.CSafeLoader):
    pass


_Loader.add_constructor(
    "!reference",
    lambda loader, node: _Reference(loader.construct_sequence(node)),  # type: ignore[arg-type]
)


def inputs(text: str = SEVERAL_IMAGES, **keys: Any) -> PipelineInputs:
    """Inputs for the first project of the settings."""
    stack = settings(text, **keys)
    return PipelineInputs(settings=stack, project=stack.projects[0], registry_host=HOST, source=SOURCE)


def files(text: str = SEVERAL_IMAGES, **keys: Any) -> tuple[PipelineFile, ...]:
    """The published files."""
    return render(generate(inputs(text, **keys)))


def loaded(text: str) -> dict[str, Any]:
    """The values in a file, with references as lists."""
    values: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader with one more tag)
    return values


def gitlab_size(text: str) -> int:
    """The size of a file as GitLab counts it, which does not look into references."""

    def opaque(value: Any) -> Any:
        if isinstance(value, _Reference):
            return object()
        if isinstance(value, dict):
            return {key: opaque(item) for key, item in value.items()}
        return [opaque(item) for item in value] if isinstance(value, list) else value

    return size.parsed_bytes(opaque(loaded(text)))


def assert_valid(text: str, folder: Path) -> None:
    """Check a file against GitLab's JSON schema."""
    published = folder / "pipeline.yml"
    published.write_text(text)
    options = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    command = [sys.executable, "-m", "check_jsonschema", *options, str(published)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def write(folder: Path, published: Iterable[PipelineFile]) -> None:
    """Write the files to a Git repository with a remote default branch, which gitlab-ci-local requires."""
    for file in published:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    for command in (
        ["init", "--quiet", "--initial-branch=master"],
        ["add", "--all"],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=All"],
        ["remote", "add", "origin", "https://gitlab.example.com/platform/images.git"],
        ["update-ref", "refs/remotes/origin/master", "HEAD"],
        ["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/master"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


def jobs(published: tuple[PipelineFile, ...]) -> dict[str, dict[str, Any]]:
    """The jobs that GitLab makes from the files: includes merged, references and templates resolved."""
    values: dict[str, Any] = {}
    for file in published:
        values |= loaded(file.text)
    return resolved_jobs(values)


def resolved_jobs(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The jobs of a whole pipeline's values, references and templates resolved."""
    values = {key: value for key, value in values.items() if key not in NOT_JOBS}
    resolved = {name: _dereferenced(job, values) for name, job in values.items()}
    return {name: _extended(job, resolved) for name, job in resolved.items() if not name.startswith(".")}


def _dereferenced(value: Any, root: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _dereferenced(item, root) for key, item in value.items()}
    if isinstance(value, _Reference):
        job, key = value
        return _dereferenced(root[job][key], root)
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            if isinstance(item, _Reference):
                items += _dereferenced(item, root)
            else:
                items.append(_dereferenced(item, root))
        return items
    return value


def _extended(job: Mapping[str, Any], templates: Mapping[str, Any]) -> dict[str, Any]:
    parents = job.get("extends", [])
    merged: dict[str, Any] = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        merged = merge(merged, _extended(templates[parent], templates))
    return merge(merged, {key: value for key, value in job.items() if key != "extends"})


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """GitLab's merge of two mappings: what is above wins, mappings in both are merged, and lists are replaced."""
    both = {key: merge(below[key], above[key]) for key in below.keys() & above.keys() if isinstance(above[key], dict)}
    return {**below, **above, **both}
