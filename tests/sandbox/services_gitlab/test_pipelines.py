"""Pipelines that somebody starts through the API: which jobs they have, and which runners take these."""

from typing import Any

import gitlab
import pytest
import requests

FILE = """
.job:
  tags: [$ARCH, linux, $BUILDYARD_TIER]
  variables: {BUILDYARD_TIER: unprotected, ARCH: none}
.arm64:
  variables: {ARCH: arm64}
build:arm64:
  extends: [.job, .arm64]
  script: [!reference [.job, tags]]
  rules: [{when: on_success}]
"""


def commit(client: gitlab.Gitlab, text: str, branch: str = "try") -> Any:
    project = client.projects.get("platform/images")
    action = {"action": "create", "file_path": ".gitlab-ci.yml", "content": text}
    made = project.commits.create(
        {"branch": branch, "start_branch": "master", "commit_message": "Try", "actions": [action]}
    )
    assert project.branches.get(branch).commit["id"] == made.id
    return project


def runner(client: gitlab.Gitlab, *tags: str, protected: bool = False) -> int:
    level = "ref_protected" if protected else "not_protected"
    facts = {"runner_type": "group_type", "group_id": 1, "tag_list": list(tags), "access_level": level}
    made: Any = client.http_post("/user/runners", post_data={**facts, "run_untagged": False})
    return int(made["id"])


def take(url: str, runner: int, job: int) -> int:
    return requests.post(f"{url}/-/sandbox/runners/{runner}/jobs?job={job}", timeout=10).status_code


def test_a_job_has_the_tags_that_its_variables_give(client: gitlab.Gitlab, url: str) -> None:
    project = commit(client, FILE)
    pipeline = project.pipelines.create({"ref": "try"})
    [job] = pipeline.jobs.list(get_all=True)
    assert (job.name, job.status, job.tag_list) == ("build:arm64", "pending", ["arm64", "linux", "unprotected"])
    [waiting] = requests.get(f"{url}/-/sandbox/jobs", timeout=10).json()
    assert (waiting["ref"], waiting["protected"], waiting["project"]) == ("try", False, "platform/images")


def test_a_protected_branch_gets_protected_variables(client: gitlab.Gitlab) -> None:
    project = commit(client, FILE)
    project.variables.create({"key": "BUILDYARD_TIER", "value": "protected", "protected": True})
    project.protectedbranches.create({"name": "try"})
    assert project.branches.get("try").protected
    [job] = project.pipelines.create({"ref": "try"}).jobs.list(get_all=True)
    assert job.tag_list[-1] == "protected"


@pytest.mark.parametrize("protect", [False, True])
def test_a_protected_runner_takes_only_jobs_of_protected_branches(
    client: gitlab.Gitlab, url: str, protect: bool
) -> None:
    project = commit(client, FILE)
    if protect:
        project.protectedbranches.create({"name": "try"})
    job = project.pipelines.create({"ref": "try"}).jobs.list(get_all=True)[0]
    by_tags, fitting = runner(client, "amd64"), runner(client, "arm64", "linux", "unprotected", protected=True)
    assert take(url, by_tags, job.id) == 409
    assert take(url, fitting, job.id) == (201 if protect else 409)
    assert take(url, fitting, job.id) == 409, "two runners would run the same job"


def test_a_job_ends_with_its_log(client: gitlab.Gitlab, url: str) -> None:
    project = commit(client, FILE)
    pipeline = project.pipelines.create({"ref": "try"})
    job = pipeline.jobs.list(get_all=True)[0]
    assert take(url, runner(client, "arm64", "linux", "unprotected"), job.id) == 201
    assert project.pipelines.get(pipeline.id).status == "running"
    requests.put(f"{url}/-/sandbox/jobs/{job.id}?status=failed&duration=3.5", data=b"no space", timeout=10)
    ended = project.jobs.get(job.id)
    assert (ended.status, ended.failure_reason, ended.duration) == ("failed", "script_failure", 3.5)
    assert project.jobs.get(job.id).trace() == b"no space"
    assert project.pipelines.get(pipeline.id).status == "failed"


def test_a_cancelled_pipeline_has_no_waiting_job(client: gitlab.Gitlab, url: str) -> None:
    project = commit(client, FILE)
    pipeline = project.pipelines.create({"ref": "try"})
    pipeline.cancel()
    assert project.pipelines.get(pipeline.id).status == "canceled"
    assert requests.get(f"{url}/-/sandbox/jobs", timeout=10).json() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("include: [{local: /a.yml}]\njob: {script: [a]}", "include"),
        ("job: {script: [a], rules: [{if: $A}]}", "conditions"),
        ("job: {script: [a], needs: [b]}", "conditions"),
        ("job: {extends: .missing, script: [a]}", "unknown key in `extends`"),
        ("a: {extends: b, script: [a]}\nb: {extends: a}", "nesting too deep"),
        ("job: {image: alpine}", "script:"),
        ("[]", "Invalid configuration format"),
        ("a: [", "Invalid configuration format"),
        (".hidden: {script: [a]}", "Pipeline will not run"),
    ],
)
def test_a_file_that_starts_no_pipeline_is_refused_with_the_reason(
    client: gitlab.Gitlab, text: str, reason: str
) -> None:
    project = commit(client, text)
    with pytest.raises(gitlab.GitlabCreateError, match=reason):
        project.pipelines.create({"ref": "try"})


def test_a_branch_without_a_file_and_a_missing_branch_start_nothing(client: gitlab.Gitlab) -> None:
    project = client.projects.get("platform/images")
    with pytest.raises(gitlab.GitlabCreateError, match="Missing CI config file"):
        project.pipelines.create({"ref": "master"})
    with pytest.raises(gitlab.GitlabCreateError, match="Reference not found"):
        project.pipelines.create({"ref": "nowhere"})


def test_a_branch_can_be_deleted_but_not_the_default_one(client: gitlab.Gitlab) -> None:
    project = commit(client, FILE)
    project.branches.delete("try")
    assert [branch.name for branch in project.branches.list(get_all=True)] == ["master"]
    with pytest.raises(gitlab.GitlabDeleteError, match="Branch Not Found"):
        project.branches.delete("try")
    with pytest.raises(gitlab.GitlabDeleteError, match="Cannot remove"):
        project.branches.delete("master")


def test_a_commit_changes_several_files_or_none(client: gitlab.Gitlab) -> None:
    project = client.projects.get("platform/images")
    good = {"action": "create", "file_path": "a.txt", "content": "YQ==", "encoding": "base64"}
    message = {"branch": "master", "commit_message": "Two files"}
    gone = {"action": "delete", "file_path": "images/web/Dockerfile"}
    project.commits.create({**message, "actions": [good, gone]})
    assert project.files.raw("a.txt", ref="master") == b"a"
    with pytest.raises(gitlab.GitlabGetError, match="404"):
        project.files.get("images/web/Dockerfile", ref="master")
    before = project.branches.get("master").commit["id"]
    for bad, reason in (
        ({**good, "file_path": "../b"}, "valid file path"),
        ({**good, "file_path": "a.txt"}, "already exists"),
        ({**gone, "file_path": "none"}, "doesn't exist"),
        ({**good, "action": "chmod"}, "does not have a valid value"),
    ):
        with pytest.raises(gitlab.GitlabCreateError, match=reason):
            project.commits.create({**message, "actions": [{**good, "file_path": "c.txt"}, bad]})
    assert project.branches.get("master").commit["id"] == before
