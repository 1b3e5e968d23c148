"""The gitlab provider as an engine uses it: over gRPC, against the emulated GitLab."""

from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gitlab
import grpc
import pytest

from sandbox.providers.framework import serve
from sandbox.providers.gitlab import provider
from sandbox.services.gitlab import access_token
from sandbox.values import UNKNOWN, Properties, Secret, reveal
from stacks.versions import RUNNER_VERSION
from tests.sandbox.provider_client import ProviderClient, details

FILE = "gitlab:index/repositoryFile:RepositoryFile"
RUNNER = "gitlab:index/userRunner:UserRunner"
VARIABLE = "gitlab:index/projectVariable:ProjectVariable"
GROUP_VARIABLE = "gitlab:index/groupVariable:GroupVariable"

PIPELINE: Properties = {
    "project": "platform/images",
    "branch": "master",
    "filePath": ".gitlab-ci.yml",
    "content": "build: {}\n",
    "encoding": "text",
    "authorName": "Buildyard",
    "authorEmail": "b@x.org",
    "createCommitMessage": "Publish [skip ci]",
    "updateCommitMessage": "Update [skip ci]",
    "deleteCommitMessage": "Remove [skip ci]",
}
ARM64: Properties = {
    "runnerType": "group_type",
    "groupId": 1,
    "tagLists": ["linux", "arm64"],
    "untagged": False,
    "maximumTimeout": 3600,
}


@pytest.fixture
def engine(url: str, tmp_path: Path) -> Iterator[ProviderClient]:
    server, port = serve(provider())
    client = ProviderClient(port, {"baseUrl": f"{url}/api/v4/", "token": access_token(tmp_path)})
    yield client
    client.close()
    server.stop(None)


def test_a_published_file_is_one_commit(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(FILE, "pipeline", PIPELINE)
    assert resource_id == "platform/images:master:.gitlab-ci.yml"
    commit = cloud.projects.get(1).commits.get("master")
    assert (commit.title, commit.author_name) == ("Publish [skip ci]", "Buildyard")
    assert (outputs["lastCommitId"], outputs["size"]) == (commit.id, 10)


def test_a_manual_edit_is_undone_by_the_next_update(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(FILE, "pipeline", PIPELINE)
    project = cloud.projects.get(1)
    project.files.update(".gitlab-ci.yml", {"branch": "master", "content": "mine", "commit_message": "Tweak"})
    _, live, live_inputs = engine.read(FILE, "pipeline", resource_id, outputs, PIPELINE)
    assert live_inputs == {**PIPELINE, "content": "mine"}, "a refresh does not show what was edited, and that alone"
    assert details(engine.diff(FILE, "pipeline", live_inputs, PIPELINE, outputs=live)) == {"content": "UPDATE"}
    engine.update(FILE, "pipeline", resource_id, outputs=live, old_inputs=live_inputs, inputs=PIPELINE)
    assert project.files.raw(".gitlab-ci.yml", ref="master") == b"build: {}\n"


def test_a_refresh_of_an_untouched_file_changes_nothing(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(FILE, "pipeline", PIPELINE)
    other = {"file_path": "other", "branch": "master", "content": "x", "commit_message": "Something else"}
    cloud.projects.get(1).files.create(other)
    _, live, live_inputs = engine.read(FILE, "pipeline", resource_id, outputs, PIPELINE)
    assert live_inputs == PIPELINE
    assert live["lastCommitId"] == outputs["lastCommitId"]


def test_a_file_that_exists_is_left_alone_unless_told_otherwise(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    readme = {**PIPELINE, "filePath": "README.md"}
    with pytest.raises(
        grpc.RpcError, match=r"creating .*RepositoryFile 'readme'.*A file with this name already exists"
    ):
        engine.create(FILE, "readme", readme)
    engine.create(FILE, "readme", {**readme, "overwriteOnCreate": True})
    assert cloud.projects.get(1).files.raw("README.md", ref="master") == b"build: {}\n"


def test_a_new_message_alone_makes_no_commit(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(FILE, "pipeline", PIPELINE)
    reworded = {**PIPELINE, "updateCommitMessage": "Change it"}
    after = engine.update(FILE, "pipeline", resource_id, outputs=outputs, old_inputs=PIPELINE, inputs=reworded)
    assert after["updateCommitMessage"] == "Change it"
    assert cloud.projects.get(1).commits.get("master").id == outputs["commitId"]


def test_commits_of_other_files_are_no_change_of_a_file(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    included, moved = {**PIPELINE, "filePath": "ci/arm64.yml"}, {**PIPELINE, "filePath": "ci/images.yml"}
    included_id, included_outputs = engine.create(FILE, "included", included)
    old_id, old_outputs = engine.create(FILE, "pipeline", PIPELINE)
    assert list(engine.diff(FILE, "pipeline", PIPELINE, moved, outputs=old_outputs).replaces) == ["filePath"]
    moved_id, moved_outputs = engine.create(FILE, "pipeline", moved)
    engine.delete(FILE, "pipeline", old_id, old_outputs)

    head = cloud.projects.get(1).branches.get("master").commit["id"]
    states = [("included", included_id, included_outputs, included), ("pipeline", moved_id, moved_outputs, moved)]
    for name, resource_id, outputs, inputs in states:
        # GitLab's commit_id is the branch's newest commit; last_commit_id is the newest one that touched the file.
        assert not details(engine.diff(FILE, name, inputs, inputs, outputs=outputs)), f"{name} changes with its branch"
        _, live, live_inputs = engine.read(FILE, name, resource_id, outputs, inputs)
        assert live == {**outputs, "commitId": head}
        assert live_inputs == inputs
        assert not details(engine.diff(FILE, name, live_inputs, inputs, outputs=live)), f"a refresh changes {name}"


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_error(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(FILE, "pipeline", PIPELINE)
    engine.delete(FILE, "pipeline", resource_id, outputs)
    commit = cloud.projects.get(1).commits.get("master")
    assert (commit.title, commit.author_name) == ("Remove [skip ci]", "Buildyard")
    engine.delete(FILE, "pipeline", resource_id, outputs)
    assert engine.read(FILE, "pipeline", resource_id, outputs, PIPELINE)[0] == "", "a refresh still finds the file"


def test_files_at_the_same_time_all_arrive(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    with ThreadPoolExecutor(8) as pool:
        inputs = [{**PIPELINE, "filePath": f"ci/{number}.yml"} for number in range(8)]
        list(pool.map(lambda each: engine.create(FILE, each["filePath"], each), inputs))
    assert len(cloud.projects.get(1).commits.list(get_all=True)) == 9


def test_a_base64_file_does_not_drift_by_its_line_breaks(engine: ProviderClient) -> None:
    inputs = {**PIPELINE, "encoding": "base64", "content": "AP/\n+AQ==\n"}
    resource_id, outputs = engine.create(FILE, "binary", inputs)
    assert engine.read(FILE, "binary", resource_id, outputs, inputs)[2] == inputs


@pytest.mark.parametrize(
    ("wrong", "property_", "reason"),
    [
        ({"filePath": "/etc/passwd"}, "filePath", "relative to the repository"),
        ({"encoding": "latin1"}, "encoding", "text or base64"),
        ({"encoding": "base64", "content": "?"}, "content", "not base64"),
        ({"updateCommitMessage": None}, "updateCommitMessage", "set updateCommitMessage or commitMessage"),
        ({"filepath": "x"}, "filepath", "did you mean 'filePath'"),
    ],
)
def test_a_wrong_file_fails_the_preview(engine: ProviderClient, wrong: Properties, property_: str, reason: str) -> None:
    _, failures = engine.check(FILE, "pipeline", {**PIPELINE, **wrong})
    assert reason in failures[property_]


def test_a_file_elsewhere_is_another_file(engine: ProviderClient) -> None:
    moved = engine.diff(FILE, "pipeline", PIPELINE, {**PIPELINE, "branch": "main"})
    assert (list(moved.replaces), details(moved)) == (["branch"], {"branch": "UPDATE_REPLACE"})


def test_a_preview_knows_all_but_what_git_computes(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(FILE, "pipeline", PIPELINE, preview=True)
    assert resource_id == ""
    assert outputs["commitId"] is UNKNOWN
    assert outputs["content"] == PIPELINE["content"]
    assert len(cloud.projects.get(1).commits.list(get_all=True)) == 1, "a preview made a commit"


def test_a_runners_token_is_a_secret_that_a_refresh_keeps(engine: ProviderClient) -> None:
    resource_id, outputs = engine.create(RUNNER, "arm64", ARM64)
    assert isinstance(outputs["token"], Secret)
    assert outputs["token"].value.startswith("glrt-")
    _, live, live_inputs = engine.read(RUNNER, "arm64", resource_id, outputs, ARM64)
    assert live["token"] == outputs["token"]
    assert live_inputs == ARM64


def test_a_runner_changes_in_place_but_not_its_owner(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    resource_id, outputs = engine.create(RUNNER, "arm64", ARM64)
    paused = {**ARM64, "paused": True, "tagLists": ["arm64"]}
    after = engine.update(RUNNER, "arm64", resource_id, outputs=outputs, old_inputs=ARM64, inputs=paused)
    assert after["token"] == outputs["token"], "an update lost the token"
    runner = cloud.runners.get(resource_id)
    assert (runner.paused, runner.tag_list, runner.run_untagged) == (True, ["arm64"], False)
    assert list(engine.diff(RUNNER, "arm64", ARM64, {**ARM64, "groupId": 2}).replaces) == ["groupId"]


def test_the_order_of_tags_is_no_change(engine: ProviderClient) -> None:
    assert details(engine.diff(RUNNER, "arm64", ARM64, {**ARM64, "tagLists": ["arm64", "linux"]})) == {}


def test_a_paused_runner_shows_as_drift(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    inputs = {**ARM64, "paused": False}
    resource_id, outputs = engine.create(RUNNER, "arm64", inputs)
    cloud.runners.update(resource_id, {"paused": True})
    assert engine.read(RUNNER, "arm64", resource_id, outputs, inputs)[2] == {**inputs, "paused": True}
    cloud.runners.delete(resource_id)
    assert engine.read(RUNNER, "arm64", resource_id, outputs, inputs)[0] == ""


@pytest.mark.parametrize(
    ("wrong", "property_"),
    [
        ({"runnerType": "shared"}, "runnerType"),
        ({"groupId": None}, "groupId"),
        ({"maximumTimeout": 599}, "maximumTimeout"),
        ({"accessLevel": "protected"}, "accessLevel"),
    ],
)
def test_a_wrong_runner_fails_the_preview(engine: ProviderClient, wrong: Properties, property_: str) -> None:
    _, failures = engine.check(RUNNER, "arm64", {**ARM64, **wrong})
    assert list(failures) == [property_]


@pytest.mark.parametrize(("token", "owner"), [(VARIABLE, "project"), (GROUP_VARIABLE, "group")])
def test_a_variable_lives_and_dies(engine: ProviderClient, cloud: gitlab.Gitlab, token: str, owner: str) -> None:
    path = {"project": "platform/images", "group": "platform"}[owner]
    inputs: Properties = {owner: path, "key": "REGISTRY", "value": "a.example.com", "raw": True, "protected": False}
    resource_id, outputs = engine.create(token, "registry", inputs)
    assert resource_id == f"{path}:REGISTRY:*"
    changed = {**inputs, "value": "b.example.com"}
    assert details(engine.diff(token, "registry", inputs, changed)) == {"value": "UPDATE"}
    after = engine.update(token, "registry", resource_id, outputs=outputs, old_inputs=inputs, inputs=changed)
    variables = (cloud.groups if owner == "group" else cloud.projects).get(1).variables
    assert (variables.get("REGISTRY").value, after["value"]) == ("b.example.com", "b.example.com")
    assert engine.read(token, "registry", resource_id, after, changed)[2] == changed
    engine.delete(token, "registry", resource_id, after)
    assert variables.list(get_all=True) == []
    assert engine.read(token, "registry", resource_id, after, changed)[0] == ""


def test_a_secret_value_stays_secret_and_out_of_errors(engine: ProviderClient) -> None:
    inputs: Properties = {"project": "1", "key": "TOKEN", "value": Secret("s3cret value"), "masked": True}
    with pytest.raises(grpc.RpcError, match="is invalid") as refused:
        engine.create(VARIABLE, "token", inputs)
    assert "s3cret value" not in str(refused.value)
    _, outputs = engine.create(VARIABLE, "token", {**inputs, "value": Secret("s3cret-value")})
    assert outputs["value"] == Secret("s3cret-value")


def test_a_hidden_variable_keeps_its_recorded_value(engine: ProviderClient) -> None:
    inputs: Properties = {"project": "1", "key": "TOKEN", "value": "s3cret-value", "hidden": True, "masked": True}
    resource_id, outputs = engine.create(VARIABLE, "token", inputs)
    assert reveal(engine.read(VARIABLE, "token", resource_id, outputs, inputs)[2]) == inputs


def test_groups_and_projects_are_found_by_path_and_id(engine: ProviderClient) -> None:
    group, _ = engine.invoke("gitlab:index/getGroup:getGroup", {"fullPath": "platform"})
    assert (group["groupId"], group["id"]) == (1, "1")
    project, _ = engine.invoke("gitlab:index/getProject:getProject", {"id": "1"})
    assert (project["pathWithNamespace"], project["defaultBranch"]) == ("platform/images", "master")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"fullPath": "nobody"}, "GitLab has no group 'nobody'"), ({}, "Name the group by groupId or by fullPath")],
)
def test_a_group_that_is_not_there_is_named(engine: ProviderClient, arguments: Properties, message: str) -> None:
    with pytest.raises(grpc.RpcError, match=message):
        engine.invoke("gitlab:index/getGroup:getGroup", arguments)


def test_the_environment_says_where_gitlab_is_when_the_configuration_does_not(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_BASE_URL", f"{url}/api/v4/")
    monkeypatch.setenv("GITLAB_TOKEN", access_token(tmp_path))
    server, port = serve(provider())
    client = ProviderClient(port)
    assert client.invoke("gitlab:index/getGroup:getGroup", {"groupId": 1})[0]["fullPath"] == "platform"
    client.close()
    server.stop(None)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"token": "t"}, "needs gitlab:baseUrl in the stack's settings, or .GITLAB_BASE_URL"),
        ({"baseUrl": "https://gitlab.com/api/v4/", "token": "t"}, "which is not the sandbox's"),
        ({"baseUrl": "http://127.0.0.1.example.com/", "token": "t"}, "which is not the sandbox's"),
    ],
)
def test_a_configuration_that_leads_elsewhere_is_refused(
    configuration: Properties, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITLAB_BASE_URL", raising=False)
    server, port = serve(provider())
    with pytest.raises(grpc.RpcError, match=message):
        ProviderClient(port, configuration)
    server.stop(None)


def test_a_wrong_token_is_said_to_be_one(url: str) -> None:
    server, port = serve(provider())
    client = ProviderClient(port, {"baseUrl": f"{url}/api/v4/", "token": "wrong"})
    with pytest.raises(grpc.RpcError, match="401"):
        client.invoke("gitlab:index/getGroup:getGroup", {"groupId": 1})
    client.close()
    server.stop(None)


def test_protected_branches_and_tags_are_listed(engine: ProviderClient) -> None:
    branches, _ = engine.invoke(
        "gitlab:index/getProjectProtectedBranches:getProjectProtectedBranches", {"projectId": "platform/images"}
    )
    assert [each["name"] for each in branches["protectedBranches"]] == ["master"]
    tags, _ = engine.invoke(
        "gitlab:index/getProjectProtectedTags:getProjectProtectedTags", {"project": "platform/images"}
    )
    assert [each["tag"] for each in tags["protectedTags"]] == ["v*"]


def test_a_runner_is_enabled_for_another_project(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    kind = "gitlab:index/projectRunnerEnablement:ProjectRunnerEnablement"
    cloud.projects.create({"name": "other", "namespace_id": 1})
    runner, _ = engine.create(RUNNER, "owned", {"runnerType": "project_type", "projectId": 1, "tagLists": ["a"]})
    inputs: Properties = {"project": "platform/other", "runnerId": int(runner)}
    enabled, _ = engine.create(kind, "enabled", inputs)
    assert enabled == f"platform/other:{runner}"
    assert engine.read(kind, "enabled", enabled, inputs, inputs)[1] == inputs
    assert [str(each.id) for each in cloud.projects.get("platform/other").runners.list()] == [runner]
    engine.delete(kind, "enabled", enabled, inputs)
    assert cloud.projects.get("platform/other").runners.list() == []
    assert not engine.read(kind, "enabled", enabled, inputs, inputs)[0], "somebody disabled it by hand"


def ask(engine: ProviderClient, function: str, **arguments: Any) -> Properties:
    result, failures = engine.invoke(f"gitlab:index/{function}:{function}", arguments)
    assert not failures
    return result


def test_a_project_tells_its_state_and_the_tokens_role(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    found = ask(engine, "getProject", pathWithNamespace="platform/images")
    assert found["permissions"] == [{"projectAccess": {}, "groupAccess": {"access_level": 50, "notification_level": 3}}]
    assert (found["archived"], found["ciConfigPath"], found["groupRunnersEnabled"]) == (False, "", True)
    project = cloud.projects.get(1)
    project.ci_config_path, project.group_runners_enabled, project.builds_access_level = "ci.yml", False, "disabled"
    project.save()
    project.archive()
    changed = ask(engine, "getProject", pathWithNamespace="platform/images")
    assert (changed["archived"], changed["ciConfigPath"], changed["groupRunnersEnabled"]) == (True, "ci.yml", False)
    assert changed["buildsAccessLevel"] == "disabled"
    project.unarchive()
    assert ask(engine, "getProject", pathWithNamespace="platform/images")["archived"] is False


def test_a_branch_and_whether_commits_to_it_are_accepted(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    branch = ask(engine, "getBranch", project="platform/images", name="master")
    assert (branch["canPush"], branch["protected"], branch["default"]) == (True, True, True)
    cloud.projects.get(1).archive()
    assert ask(engine, "getBranch", project="platform/images", name="master")["canPush"] is False
    with pytest.raises(grpc.RpcError, match="403 Forbidden"):
        engine.create(FILE, "pipeline", PIPELINE)
    with pytest.raises(grpc.RpcError, match="404 Branch Not Found"):
        ask(engine, "getBranch", project="platform/images", name="main")


def test_a_file_and_one_that_is_missing(engine: ProviderClient) -> None:
    where = {"project": "platform/images", "ref": "master"}
    file = ask(engine, "getRepositoryFile", filePath="images/base/Dockerfile", **where)
    assert b"FROM" in b64decode(file["content"])
    with pytest.raises(grpc.RpcError, match="404 File Not Found"):
        ask(engine, "getRepositoryFile", filePath="images/base/Dockerfil", **where)


def test_the_content_of_folders(engine: ProviderClient, cloud: gitlab.Gitlab) -> None:
    where = {"project": "platform/images", "ref": "master"}
    assert "images" in [each["path"] for each in ask(engine, "getRepositoryTree", **where)["trees"]]
    base = ask(engine, "getRepositoryTree", path="images/base", **where)["trees"]
    assert ("images/base/Dockerfile", "Dockerfile", "blob") in [(e["path"], e["name"], e["type"]) for e in base]
    everything = [each["path"] for each in ask(engine, "getRepositoryTree", recursive=True, **where)["trees"]]
    assert {"images", "images/base", "images/base/Dockerfile"} <= set(everything)
    with pytest.raises(grpc.RpcError, match="404 invalid revision or path Not Found"):
        ask(engine, "getRepositoryTree", path="nowhere", **where)
    files = [{"action": "create", "file_path": f"many/{number}", "content": ""} for number in range(45)]
    for file in files:
        cloud.projects.get(1).files.create({**file, "branch": "master", "commit_message": "Add"})
    assert len(ask(engine, "getRepositoryTree", path="many", **where)["trees"]) == 45, "a page has 20"


def test_a_variable_and_one_that_is_missing(engine: ProviderClient) -> None:
    engine.create(VARIABLE, "it", {"project": "platform/images", "key": "IT", "value": "1", "description": "mine"})
    found = ask(engine, "getProjectVariable", project="platform/images", key="IT")
    assert (found["value"], found["description"], found["environmentScope"]) == ("1", "mine", "*")
    with pytest.raises(grpc.RpcError, match="404 Variable Not Found"):
        ask(engine, "getProjectVariable", project="platform/images", key="OTHER")


def test_gitlab_is_as_new_as_the_runner_that_the_stack_pins(engine: ProviderClient) -> None:
    assert ask(engine, "getMetadata")["version"] == RUNNER_VERSION
