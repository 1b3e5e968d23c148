"""Groups, projects, runners and variables, and access to them."""

import errno
import json
import os
import resource
import secrets
from pathlib import Path

import gitlab
import pytest
import requests

from sandbox.services.gitlab import access_token
from tests.sandbox.services_gitlab.conftest import serving

SECRET = "s3cret-value"


def test_a_new_gitlab_holds_a_group_and_a_project(client: gitlab.Gitlab) -> None:
    project = client.projects.get("platform/images")
    assert project.default_branch == "master"
    assert client.groups.get("platform").id == project.namespace["id"]
    commits = project.commits.list(get_all=True)
    assert [commit.created_at for commit in commits] == ["2026-01-05T09:00:00+00:00"], "seeding is not reproducible"


def test_lookups_work_by_id_and_by_path(client: gitlab.Gitlab) -> None:
    project = client.projects.get("platform/images")
    assert client.projects.get(project.id).path_with_namespace == "platform/images"
    with pytest.raises(gitlab.GitlabGetError, match="404 Project Not Found"):
        client.projects.get("platform/nothing")
    with pytest.raises(gitlab.GitlabGetError, match="404 Group Not Found"):
        client.groups.get("nobody")


def test_more_groups_and_projects_can_be_made(client: gitlab.Gitlab) -> None:
    group = client.groups.create({"name": "Payments", "path": "payments"})
    project = client.projects.create({"name": "tills", "namespace_id": group.id, "default_branch": "trunk"})
    assert project.empty_repo
    file = {"file_path": "Dockerfile", "content": "FROM scratch\n", "branch": "trunk", "commit_message": "Start"}
    project.files.create(file)
    assert client.projects.get("payments/tills").files.raw("Dockerfile", ref="trunk") == b"FROM scratch\n"
    with pytest.raises(gitlab.GitlabCreateError, match="has already been taken"):
        client.projects.create({"name": "tills", "namespace_id": group.id})


@pytest.mark.parametrize("path", ["../../outside", "a/b", ".hidden", "x.git", ""])
def test_a_project_cannot_be_made_outside_its_group(client: gitlab.Gitlab, path: str, tmp_path: Path) -> None:
    with pytest.raises(gitlab.GitlabCreateError):
        client.projects.create({"name": path, "path": path, "namespace_id": 1})
    assert [found.name for found in (tmp_path / "gitlab").glob("**/*.git")] == ["images.git"]


@pytest.mark.parametrize("headers", [{}, {"PRIVATE-TOKEN": "wrong"}, {"Authorization": "Bearer wrong"}])
def test_requests_without_the_token_are_refused(url: str, headers: dict[str, str]) -> None:
    answer = requests.get(f"{url}/api/v4/projects", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()) == (401, {"message": "401 Unauthorized"})


def test_both_forms_of_the_token_are_accepted(url: str, tmp_path: Path) -> None:
    token = access_token(tmp_path)
    for headers in ({"PRIVATE-TOKEN": token}, {"Authorization": f"Bearer {token}"}):
        assert requests.get(f"{url}/api/v4/user", headers=headers, timeout=10).json()["username"] == "root"


def test_an_unknown_route_is_named(client: gitlab.Gitlab, url: str, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"PRIVATE-TOKEN": str(client.private_token)}
    answer = requests.get(f"{url}/api/v4/projects/1/wikis", headers=headers, timeout=10)
    assert answer.status_code == 404
    assert "GET /api/v4/projects/1/wikis" in answer.json()["error_description"]
    assert "GET /api/v4/projects/1/wikis" in caplog.text


def test_a_runners_token_is_shown_once(client: gitlab.Gitlab, tmp_path: Path) -> None:
    created = client.http_post(
        "/user/runners", post_data={"runner_type": "group_type", "group_id": 1, "tag_list": "arm64,linux"}
    )
    assert isinstance(created, dict)
    assert created["token"].startswith("glrt-")
    runner = client.runners.get(created["id"])
    assert runner.tag_list == ["arm64", "linux"]
    assert "token" not in runner.attributes
    assert created["token"] not in (tmp_path / "gitlab" / "state.json").read_text(), "the token is kept in clear text"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"runner_type": "shared"}, "runner_type does not have a valid value"),
        ({"group_id": None}, "group_id is missing"),
        ({"group_id": 99}, "Validation error"),
        ({"maximum_timeout": 599}, "Maximum timeout needs to be at least 10 minutes"),
        ({"run_untagged": False}, "Tags list can not be empty when runner is not allowed to pick untagged jobs"),
        ({"access_level": "secret"}, "access_level does not have a valid value"),
        ({"description": "d" * 1025}, "Description is too long .maximum is 1024 characters"),
        ({"maintenance_note": "n" * 1025}, "Maintenance note is too long .maximum is 1024 characters"),
        ({"tag_list": [f"tag-{number}" for number in range(51)]}, "Please limit the number of tags to 50"),
    ],
)
def test_a_wrong_runner_is_refused(client: gitlab.Gitlab, wrong: dict[str, object], message: str) -> None:
    right = {"runner_type": "group_type", "group_id": 1}
    data = {key: value for key, value in {**right, **wrong}.items() if value is not None}
    with pytest.raises(gitlab.GitlabHttpError, match=message):
        client.http_post("/user/runners", post_data=data)
    assert client.runners_all.list(get_all=True) == []


def test_a_runner_can_be_paused_and_deleted(client: gitlab.Gitlab) -> None:
    created = client.http_post("/user/runners", post_data={"runner_type": "group_type", "group_id": 1})
    assert isinstance(created, dict)
    runner = client.runners.get(created["id"])
    runner.paused = True
    runner.save()
    assert client.runners.get(runner.id).paused is True
    assert runner.jobs.list(get_all=True) == []
    runner.delete()
    with pytest.raises(gitlab.GitlabGetError, match="404 Not found"):
        client.runners.get(runner.id)
    again = client.http_post("/user/runners", post_data={"runner_type": "group_type", "group_id": 1})
    assert isinstance(again, dict)
    assert again["id"] > runner.id, "the id of a deleted runner was given to another one"


@pytest.mark.parametrize("owner", ["groups", "projects"])
def test_a_variable_lives_and_dies(client: gitlab.Gitlab, owner: str) -> None:
    variables = getattr(client, owner).get(1).variables
    variables.create({"key": "REGION", "value": "ap-east-1"})
    variables.update("REGION", {"value": "eu-west-1", "protected": True})
    found = variables.get("REGION")
    assert (found.value, found.protected, found.environment_scope) == ("eu-west-1", True, "*")
    variables.delete("REGION")
    with pytest.raises(gitlab.GitlabGetError, match="404 Variable Not Found"):
        variables.get("REGION")


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"key": "A B", "value": "x"}, "can contain only letters, digits and '_'."),
        ({"key": "", "value": "x"}, "can't be blank"),
        ({"key": "A", "value": "short", "masked": True}, "is invalid"),
        ({"key": "A", "value": "has a space", "masked": True, "raw": True}, "is invalid"),
        ({"key": "A", "value": "half $expanded", "masked": True}, "is invalid"),
        ({"key": "A", "value": "x", "variable_type": "secret"}, "variable_type does not have a valid value"),
        ({"key": "A", "value": "x" * 10_001}, "maximum is 10000 characters"),
        ({"key": "A" * 256, "value": "x"}, "maximum is 255 characters"),
        ({"key": "A", "value": "x", "description": "d" * 256}, "maximum is 255 characters"),
    ],
)
def test_a_wrong_variable_is_refused(client: gitlab.Gitlab, variable: dict[str, object], message: str) -> None:
    with pytest.raises(gitlab.GitlabCreateError, match=message):
        client.projects.get(1).variables.create(variable)


def test_the_longest_variable_and_runner_are_accepted(client: gitlab.Gitlab) -> None:
    variable = {"key": "A" * 255, "value": "x" * 10_000, "description": "d" * 255}
    assert client.projects.get(1).variables.create(variable).key == "A" * 255
    runner = {"description": "d" * 1024, "tag_list": [f"tag-{number}" for number in range(50)]}
    created = client.http_post("/user/runners", post_data={"runner_type": "instance_type", **runner})
    assert isinstance(created, dict)
    assert len(client.runners.get(created["id"]).tag_list) == 50


def test_variables_of_one_key_are_told_apart_by_their_scope(client: gitlab.Gitlab) -> None:
    variables = client.projects.get(1).variables
    variables.create({"key": "A", "value": "any"})
    variables.create({"key": "A", "value": "live", "environment_scope": "production"})
    with pytest.raises(gitlab.GitlabCreateError, match="has already been taken"):
        variables.create({"key": "A", "value": "again"})
    with pytest.raises(gitlab.GitlabGetError, match=r"Please use 'filter\[environment_scope\]'"):
        variables.get("A")
    assert variables.get("A", filter={"environment_scope": "production"}).value == "live"


def test_a_hidden_variables_value_is_never_shown_again(client: gitlab.Gitlab) -> None:
    variables = client.projects.get(1).variables
    created = variables.create({"key": "A", "value": SECRET, "masked_and_hidden": True})
    assert (created.value, created.hidden, created.masked) == (None, True, True)
    with pytest.raises(gitlab.GitlabUpdateError, match="visibility setting cannot be changed"):
        variables.update("A", {"masked": False})


def test_long_lists_come_in_pages(client: gitlab.Gitlab) -> None:
    variables = client.projects.get(1).variables
    for number in range(5):
        variables.create({"key": f"V{number}", "value": "x"})
    page = variables.list(per_page=2, iterator=True)
    assert (page.total, page.total_pages, page.next_page, page.prev_page) == (5, 3, 2, None)
    assert [variable.key for variable in variables.list(per_page=2, get_all=True)] == [f"V{n}" for n in range(5)]


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        client = gitlab.Gitlab(url, private_token=access_token(tmp_path))
        client.projects.get(1).variables.create({"key": "A", "value": SECRET})
    with serving(tmp_path) as url:
        client = gitlab.Gitlab(url, private_token=access_token(tmp_path))
        assert client.projects.get(1).variables.get("A").value == SECRET
        assert [group.full_path for group in client.groups.list(get_all=True)] == ["platform"], "it was seeded twice"


def test_an_interrupted_first_start_is_completed(tmp_path: Path) -> None:
    with serving(tmp_path):
        pass
    state = tmp_path / "gitlab" / "state.json"
    content = json.loads(state.read_text())
    state.write_text(json.dumps({"groups": content["groups"], "last_ids": {"groups": 1}}))
    with serving(tmp_path) as url:
        client = gitlab.Gitlab(url, private_token=access_token(tmp_path))
        assert client.projects.get("platform/images").files.raw("README.md", ref="master").startswith(b"# Images")


def test_a_full_disk_refuses_changes_and_loses_nothing(client: gitlab.Gitlab, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = client.projects.get(1).variables
    variables.create({"key": "BEFORE", "value": "x"})

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", fail)
        with pytest.raises(gitlab.GitlabCreateError, match=r"No space left on device.*free some space") as refused:
            variables.create({"key": "DURING", "value": "x"})
    assert refused.value.response_code == 507
    assert [each.key for each in variables.list(get_all=True)] == ["BEFORE"]
    variables.create({"key": "DURING", "value": "x"})


def test_a_commit_that_does_not_fit_says_so(client: gitlab.Gitlab, tmp_path: Path) -> None:
    project = client.projects.get(1)
    head = project.branches.get("master").commit["id"]
    file = {"file_path": "large", "branch": "master", "content": secrets.token_hex(2**20), "commit_message": "m"}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, unlimited[1]))  # git's files may be no larger, as on a full disk
    try:
        with pytest.raises(gitlab.GitlabCreateError, match="No space left on device") as refused:
            project.files.create(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert refused.value.response_code == 507
    assert project.branches.get("master").commit["id"] == head
    project.files.create(file)


def test_secrets_at_rest_are_readable_by_their_owner_alone(client: gitlab.Gitlab, tmp_path: Path) -> None:
    client.projects.get(1).variables.create({"key": "A", "value": SECRET})
    for name in ("state.json", "token"):
        assert (tmp_path / "gitlab" / name).stat().st_mode & 0o777 == 0o600, f"{name} is open to others"


def test_a_new_project_protects_its_default_branch_and_no_tags(client: gitlab.Gitlab) -> None:
    group = client.groups.list()[0]
    client.projects.create({"name": "new", "namespace_id": group.id, "default_branch": "trunk"})
    project = client.projects.get("platform/new")
    assert [each.name for each in project.protectedbranches.list()] == ["trunk"]
    assert project.protectedtags.list() == []


def test_branches_and_tags_are_protected_until_they_are_unprotected(client: gitlab.Gitlab) -> None:
    project = client.projects.get("platform/images")
    project.protectedbranches.create({"name": "release/*"})
    assert project.protectedbranches.get("release/*").name == "release/*"
    with pytest.raises(gitlab.GitlabCreateError, match="already exists"):
        project.protectedbranches.create({"name": "release/*"})
    project.protectedbranches.delete("master")
    assert [each.name for each in project.protectedbranches.list()] == ["release/*"]
    project.protectedtags.delete("v*")
    assert project.protectedtags.list() == []
    with pytest.raises(gitlab.GitlabDeleteError):
        project.protectedtags.delete("v*")


def test_a_project_lists_the_runners_of_its_groups(client: gitlab.Gitlab) -> None:
    group, project = client.groups.get("platform"), client.projects.get("platform/images")
    other = client.groups.create({"name": "other", "path": "other"})
    made = [
        client.http_post("/user/runners", post_data={"runner_type": kind, key: owner})["id"]  # type: ignore[index]
        for kind, key, owner in (
            ("group_type", "group_id", group.id),
            ("project_type", "project_id", project.id),
            ("group_type", "group_id", other.id),
        )
    ]
    assert [each.id for each in project.runners.list()] == made[:2]


def test_a_project_runner_is_enabled_for_other_projects(client: gitlab.Gitlab) -> None:
    other = client.projects.create({"name": "other", "namespace_id": 1})
    owned = {"runner_type": "project_type", "project_id": 1, "tag_list": "a"}
    runner = client.http_post("/user/runners", post_data=owned)["id"]  # type: ignore[index]
    assert [each.id for each in other.runners.list()] == []
    other.runners.create({"runner_id": runner})
    assert [each.id for each in other.runners.list()] == [runner]
    enabled = [each["path_with_namespace"] for each in client.runners.get(runner).projects]
    assert enabled == ["platform/images", "platform/other"], "the owner comes first"
    with pytest.raises(gitlab.GitlabCreateError, match="already been taken"):
        other.runners.create({"runner_id": runner})
    with pytest.raises(gitlab.GitlabDeleteError, match="cannot unassign a runner from the owner project"):
        client.projects.get(1).runners.delete(runner)
    other.runners.delete(runner)
    assert [each.id for each in other.runners.list()] == []
    with pytest.raises(gitlab.GitlabDeleteError, match="404"):
        other.runners.delete(runner)


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ({"runner_type": "group_type", "group_id": 1}, "Runner is a group runner"),
        ({"runner_type": "project_type", "project_id": 1, "locked": True}, "Runner is locked"),
    ],
)
def test_a_runner_that_no_other_project_may_use(client: gitlab.Gitlab, runner: dict[str, object], message: str) -> None:
    other = client.projects.create({"name": "other", "namespace_id": 1})
    made = client.http_post("/user/runners", post_data=runner)["id"]  # type: ignore[index]
    with pytest.raises(gitlab.GitlabCreateError, match=message):
        other.runners.create({"runner_id": made})
