"""The table of what a change of each key does, against previews of the real CLI."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from rich.console import Console

from sandbox.endpoints import read_endpoints
from sandbox.engine import install
from sandbox.engine.cli import PulumiCli, open_stack
from sandbox.engine.errors import EngineError
from sandbox.scratch import ScratchProject, scratch_project
from tests.deployment.conftest import Cloud
from tests.deployment.key_changes import (
    ALIKE,
    CHANGES,
    OTHER_BRANCH,
    OTHER_CLUSTER,
    OTHER_GROUP,
    OTHER_PROJECT,
    changed,
    documented,
    effects,
    keys,
    row_of,
    together,
    words,
    words_of,
)
from tests.deployment.test_company_rules import make_boundary

BRANCH = "projects[].default-branch"
"""GitLab's is changed before it, which the previews of other keys would refuse."""


@pytest.fixture(scope="module")
def stack() -> Iterator[ScratchProject]:
    """The shipped stack, deployed, beside another cluster, project and branch that settings can name."""
    with scratch_project() as project:
        assert project.sandbox("start").returncode == 0
        _make_other_cluster(project)
        _make_other_project(project)
        make_boundary(Cloud(project).aws("iam"))
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
    group, _, name = OTHER_PROJECT.rpartition("/")
    owner = Cloud(project).gitlab(f"/groups/{group}").json()["id"]
    for path, body in (
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
        _ask_gitlab(project, "POST", path, body)


def _ask_gitlab(project: ScratchProject, method: str, path: str, body: Mapping[str, object]) -> None:
    token = {"PRIVATE-TOKEN": (project.data / "gitlab" / "token").read_text().strip()}
    address = f"{project.endpoints()['gitlab']}/api/v4{path}"
    requests.request(method, address, json=body, headers=token, timeout=10).raise_for_status()


def test_every_key_is_changed_here_and_has_one_row() -> None:
    alike = [key for others in ALIKE.values() for key in others]
    assert sorted(keys()) == sorted([*CHANGES, *alike]), "nobody knows what a change of these keys costs"
    assert {key: row_of(key) for key in keys() if len(row_of(key)) != 1} == {}
    for key, others in ALIKE.items():
        assert all(words_of(each) == words_of(key) for each in others), f"{key} and its likes differ"
    assert not [pattern for pattern in documented() if not any(pattern in row_of(key) for key in keys())]


def test_every_word_of_the_table_is_explained() -> None:
    used = {word for row in documented().values() for word in row}
    assert used == {*words()}


@pytest.mark.timeout(600)
def test_no_change_does_more_than_the_table_says(stack: ScratchProject) -> None:
    """Keys with the same words change in one preview: a word that one of them adds is found, at a fraction of the time.

    The next test also finds a word that a key does not deserve.
    """
    groups = together((key for key in CHANGES if key != BRANCH), stack.read_config())
    assert len(groups) < len(CHANGES) / 2, "previews of single keys need no test of their own"
    _compare(_previewed(stack, groups))


@pytest.mark.timeout(1200)
def test_changes_do_what_the_table_says(stack: ScratchProject) -> None:
    found = _previewed(stack, [[key] for key in CHANGES if key != BRANCH])
    _ask_gitlab(stack, "PUT", "/projects/platform%2Fimages", {"default_branch": OTHER_BRANCH})
    _compare(found | _preview_changes(stack, [[BRANCH]]))


def _compare(found: Mapping[tuple[str, ...], set[str]]) -> None:
    wrong = {keys: words for keys, words in found.items() if words != words_of(keys[0])}
    lines = [f"{', '.join(keys)}: {', '.join(sorted(words))}" for keys, words in wrong.items()]
    assert not wrong, "\n".join(["docs/operations.md says something else of these keys, which change:", *lines])


def _previewed(stack: ScratchProject, groups: Sequence[Sequence[str]]) -> dict[tuple[str, ...], set[str]]:
    number = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(number) as pool:
        workers = [pool.submit(_preview_changes, stack, groups[each::number]) for each in range(number)]
    return {keys: words for worker in workers for keys, words in worker.result().items()}


def _preview_changes(stack: ScratchProject, groups: Sequence[Sequence[str]]) -> dict[tuple[str, ...], set[str]]:
    """Preview each group's changes, in a work tree and with a copy of the state of their own: the words, by keys."""
    endpoints = read_endpoints(stack.data)
    assert endpoints is not None
    cluster = Cloud(stack).aws("eks").describe_cluster(name="ci")["cluster"]
    network = {"Name": "vpc-id", "Values": [cluster["resourcesVpcConfig"]["vpcId"]]}
    group = Cloud(stack).aws("ec2").describe_security_groups(Filters=[network])["SecurityGroups"][0]["GroupId"]
    with scratch_project() as own:
        shutil.copytree(stack.data / "pulumi", own.data / "pulumi")
        command = install.pulumi(Console(stderr=True))
        with open_stack(command, own.data, endpoints, own.root) as cli, cli.program():
            return {tuple(keys): _preview_change(own, cli, keys, group) for keys in groups}


def _preview_change(project: ScratchProject, cli: PulumiCli, keys: Sequence[str], group: str) -> set[str]:
    before = project.read_config()
    after = changed(before, keys)
    assert after != before, keys
    with project.edited(lambda config: config.update(after)):
        project.stack_file.write_text(project.stack_file.read_text().replace(OTHER_GROUP, group))
        cli.write_settings()
        try:
            return effects(cli.ask("preview", "--json", "--refresh=false"))
        except EngineError as error:
            return {f"no preview: {error}"}
