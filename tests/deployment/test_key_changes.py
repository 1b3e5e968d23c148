"""The table of what a change of each key does, against previews of the real CLI."""

from collections.abc import Iterator

import pytest
import requests

from sandbox.scratch import ScratchProject, scratch_project
from tests.deployment.conftest import Cloud
from tests.deployment.key_changes import (
    CHANGES,
    IMPLIED,
    KINDS,
    OTHER_BRANCH,
    OTHER_CLUSTER,
    OTHER_PROJECT,
    documented,
    effects,
    keys,
    row_of,
    words,
)


@pytest.fixture(scope="module")
def stack() -> Iterator[ScratchProject]:
    """The shipped stack, deployed, beside another cluster, project and branch that settings can name."""
    with scratch_project() as project:
        assert project.sandbox("start").returncode == 0
        _make_other_cluster(project)
        _make_other_project(project)
        done = project.sandbox("up", "--skip-preview")
        assert done.returncode == 0, done.stdout + done.stderr
        yield project


def _make_other_cluster(project: ScratchProject) -> None:
    eks = Cloud(project).aws("eks")
    ours = eks.describe_cluster(name="ci")["cluster"]
    network = {"subnetIds": ours["resourcesVpcConfig"]["subnetIds"]}
    eks.create_cluster(name=OTHER_CLUSTER, version=ours["version"], roleArn=ours["roleArn"], resourcesVpcConfig=network)
    eks.create_addon(clusterName=OTHER_CLUSTER, addonName="eks-pod-identity-agent")


def _make_other_project(project: ScratchProject) -> None:
    address = f"{project.endpoints()['gitlab']}/api/v4"
    token = {"PRIVATE-TOKEN": (project.data / "gitlab" / "token").read_text().strip()}
    group, _, name = OTHER_PROJECT.rpartition("/")
    owner = Cloud(project).gitlab(f"/groups/{group}").json()["id"]
    for url, body in (
        ("/projects", {"name": name, "path": name, "namespace_id": owner, "default_branch": "master"}),
        (
            f"/projects/{group}%2F{name}/repository/files/README.md",
            {"branch": "master", "content": "Another project", "commit_message": "Begin"},
        ),
        (
            "/projects/platform%2Fimages/repository/files/NEWS.md",
            {
                "branch": OTHER_BRANCH,
                "start_branch": "master",
                "content": "Another branch",
                "commit_message": "Begin",
            },
        ),
        ("/projects/platform%2Fimages/protected_branches", {"name": OTHER_BRANCH}),
        (f"/projects/{group}%2F{name}/protected_tags", {"name": "v*"}),
    ):
        requests.post(address + url, json=body, headers=token, timeout=10).raise_for_status()


def test_every_key_is_changed_here_and_has_one_row() -> None:
    assert {*keys()} == CHANGES.keys(), "nobody knows what a change of these keys costs"
    assert {key: row_of(key) for key in CHANGES if len(row_of(key)) != 1} == {}
    assert not [pattern for pattern in documented() if not any(pattern in row_of(key) for key in CHANGES)]


def test_every_word_of_the_table_is_explained() -> None:
    used = {word for row in documented().values() for word in row}
    assert used == {*words()}
    assert used <= {*KINDS.values(), *IMPLIED, "size", "tags", "repositories", "nothing"}


@pytest.mark.parametrize("key", CHANGES)
def test_a_change_does_what_the_table_says(stack: ScratchProject, key: str) -> None:
    before = stack.read_config()
    with stack.edited(CHANGES[key]):
        assert stack.read_config() != before
        done = stack.sandbox("preview", "--json", "--refresh=false")
    said = done.stdout.rpartition('"diagnostics"')[2]  # without a page for each step
    assert done.returncode == 0, said + done.stderr
    [pattern] = row_of(key)
    assert effects(done.stdout) == documented()[pattern], f"docs/operations.md tells people something else of {key}"
