"""A project with jobs of its own includes the published file: neither changes the other's jobs."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.conftest import GitLabCiLocal
from tests.pipeline.published import SEVERAL_IMAGES, files, loaded, merge, resolved_jobs, write

OURS = ".gitlab/buildyard.yml"
INCLUDED = SEVERAL_IMAGES.replace("default-branch:", f"pipeline-path: {OURS}\n    stage: images\n    default-branch:")
(FILE,) = files(INCLUDED)
ALONE = "stages: [images]\n"

DEFAULTS = """
default:
  image: alpine
  before_script: [echo default before]
  after_script: [echo default after]
  services: [postgres]
  cache: {paths: [node_modules]}
  tags: [small]
  retry: 1
  timeout: 5 minutes
  interruptible: true
  artifacts: {paths: [dist]}
  id_tokens: {TOKEN: {aud: https://example.com}}
  hooks: {pre_get_sources_script: [echo hook]}
"""
"""Every keyword that `default` can have. Source: https://docs.gitlab.com/ci/yaml/#default"""

HOST = """
stages: [lint, test, images]
workflow:
  auto_cancel: {on_new_commit: interruptible}
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH
variables: {GIT_STRATEGY: none, AWS_PROFILE: test, BUILDYARD_TIER: protected, KUBERNETES_CPU_REQUEST: "99"}
lint:
  stage: lint
  script: [echo lint]
test:
  stage: test
  needs: [lint]
  image: python
  script: [echo test]
  rules: [{if: $CI_COMMIT_BRANCH}]
"""


def effective(*texts: str) -> dict[str, dict[str, Any]]:
    """The jobs that GitLab makes of these files. Each overwrites those before it, as a project does its includes.

    A job has the keywords of `default` that it lacks, and the variables of all jobs, unless `inherit` says otherwise.
    Sources: https://docs.gitlab.com/ci/yaml/includes/#merge-method-for-include, https://docs.gitlab.com/ci/yaml/#inherit
    """
    whole: dict[str, Any] = {}
    for text in texts:
        whole = merge(whole, loaded(text))
    found = {}
    for name, job in resolved_jobs(whole).items():
        inherit = job.pop("inherit", {})
        defaults = whole.get("default", {}) if inherit.get("default", True) else {}
        variables = whole.get("variables", {}) if inherit.get("variables", True) else {}
        found[name] = {**defaults, **job, "variables": {**variables, **job.get("variables", {})}}
        assert job.get("stage", "test") in [*whole["stages"], ".post"], f"GitLab refuses the stage of {name}"
    return found


def test_a_project_changes_no_job_of_the_included_file() -> None:
    ours, together = effective(ALONE, FILE.text), effective(FILE.text, HOST, DEFAULTS)
    assert ours
    assert {name: together[name] for name in ours} == ours


def test_the_included_file_changes_no_job_of_the_project() -> None:
    alone, together = effective(HOST, DEFAULTS), effective(FILE.text, HOST, DEFAULTS)
    assert {name: together[name] for name in alone} == alone
    assert alone["lint"]["tags"] == ["small"], "the project's defaults would not count in this test"


def test_the_included_file_sets_nothing_for_the_whole_pipeline() -> None:
    ours = set(loaded(FILE.text))
    known = {
        "default",
        "variables",
        "stages",
        "workflow",
        "image",
        "services",
        "cache",
        "before_script",
        "after_script",
    }
    assert not ours & (known | {"include", "pages"})
    assert all(name.startswith((".buildyard-", "build-", "container-")) for name in ours)


def test_every_job_says_what_it_would_take_from_the_project() -> None:
    """A job has itself those of these keywords that it needs. GitLab's own default counts for the others."""
    for name, job in effective(ALONE, FILE.text).items():
        assert {"image", "tags", "timeout", "retry", "before_script", "script", "stage", "rules"} <= set(job), name


def test_the_whole_pipeline_has_the_stage_of_its_jobs() -> None:
    (whole,) = files(INCLUDED.replace(OURS, ".gitlab-ci.yml"))
    assert loaded(whole.text)["stages"] == ["images"]
    assert loaded(whole.text).keys() - loaded(FILE.text).keys() == {"stages", "workflow", "variables"}


@pytest.fixture
def preview(tmp_path: Path, gitlab_ci_local: GitLabCiLocal) -> Any:
    """A project's file as gitlab-ci-local expands it, with its includes, templates and defaults."""

    def expanded(name: str, text: str) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / ".gitlab-ci.yml").write_text(text)
        write(folder, [FILE])
        values: dict[str, Any] = yaml.safe_load(gitlab_ci_local(folder, "--preview").partition("---\n")[2])
        return values

    return expanded


def test_gitlab_ci_local_expands_both_as_if_they_were_alone(preview: Any) -> None:
    include = f"include: [{{local: {OURS}}}]\n"
    together = preview("together", include + HOST + DEFAULTS)
    ours = preview("ours", include + ALONE)
    host = preview("host", HOST + DEFAULTS)
    for alone in (ours, host):
        named = {name: job for name, job in alone.items() if isinstance(job, dict) and "script" in job}
        assert named
        for name, job in named.items():
            assert json.dumps(together[name], sort_keys=True) == json.dumps(job, sort_keys=True), name
    assert together["lint"]["before_script"] == ["echo default before"]
    assert together["stages"] == host["stages"]
