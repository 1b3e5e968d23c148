"""The jobs in a pipeline's file, as far as a runner is chosen for them.

Source: https://docs.gitlab.com/ci/yaml/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.builds.selection import expanded

_GLOBAL = frozenset({"default", "include", "image", "services", "stages", "variables", "workflow", "spec", "cache"})
_MOST_LEVELS = 11
"""Levels of `extends`. Source: https://docs.gitlab.com/ci/yaml/#extends"""


class CiFileError(Exception):
    """GitLab would refuse the file, or the sandbox's does not know what it says."""


@dataclass(frozen=True, kw_only=True)
class CiJob:
    """A job to run. `tags` are with the values of variables."""

    name: str
    stage: str
    tags: Sequence[str]


def read_jobs(text: str, variables: Mapping[str, str]) -> list[CiJob]:
    """All jobs of a file. `variables` are the project's, which override those of jobs. Raises `CiFileError`."""
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise CiFileError(f"Invalid configuration format: {error}") from error
    if not isinstance(content, dict):
        raise CiFileError("Invalid configuration format")
    if "include" in content:
        raise CiFileError("The sandbox's GitLab starts no pipeline with `include`.")
    templates = {str(name): job for name, job in content.items() if name not in _GLOBAL and isinstance(job, dict)}
    return [_job(name, templates, variables) for name in templates if not name.startswith(".")]


def _job(name: str, templates: Mapping[str, Any], variables: Mapping[str, str]) -> CiJob:
    job = _extended(name, templates, _MOST_LEVELS)
    if "script" not in job:
        raise CiFileError(f"jobs:{name} config should implement the script:, run:, or trigger: keyword")
    if job.get("rules") not in (None, [{"when": "on_success"}]) or job.get("needs") or {"only", "except"} & job.keys():
        raise CiFileError(f"The sandbox's GitLab starts no job with conditions, such as {name}.")
    own = {key: str(value) for key, value in (job.get("variables") or {}).items()}
    tags = expanded([str(tag) for tag in job.get("tags") or []], {**own, **variables})
    return CiJob(name=name, stage=str(job.get("stage", "test")), tags=tags)


def _extended(name: str, templates: Mapping[str, Any], levels: int) -> dict[str, Any]:
    """A job with the keys of the templates that it extends: mappings are merged, all else is replaced."""
    if name not in templates or levels == 0:
        raise CiFileError(f"{name}: unknown key in `extends`, or nesting too deep")
    job = templates[name]
    parents = job.get("extends") or []
    merged: dict[str, Any] = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        merged = _merged(merged, _extended(str(parent), templates, levels - 1))
    return _merged(merged, {key: value for key, value in job.items() if key != "extends"})


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(under[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(under.get(key), dict)
    }
    return {**under, **over, **both}


class _Loader(yaml.SafeLoader):
    """A loader that keeps `!reference` as a list: nothing that is read here has one."""


_Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type] # GitLab's are sequences
