"""The company's rules for IAM: every role has the boundary, and every role and policy the path."""

import re
from itertools import product
from typing import Any

import pytest

from stacks.iam import Iam
from tests.components.answers import ACCOUNT
from tests.components.mocks import NAME, Declared, declare
from tests.components.test_lookups import refused
from tests.stacks.stack_settings import problems

BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/rules/boundary"
KEY = f"arn:aws:kms:ap-east-1:{ACCOUNT}:key/1"
EVERY_ROLE: dict[str, Any] = {
    "trust": "isolated",
    "registry": {"kms-key": KEY, "pull-through": {"quay": {}}},
}
"""Settings with which a stack has a role of every kind."""


def stack(**iam: str) -> Declared:
    return declare(**EVERY_ROLE, iam=iam)


def test_every_role_has_the_boundary() -> None:
    roles = stack(**{"permissions-boundary": BOUNDARY}).of("iam:Role")
    kinds = ("push", "unprotected-push", "pull-through")
    nodes = ("arm64-node", "amd64-node", "unprotected-arm64-node", "unprotected-amd64-node")
    assert roles.keys() == {f"{NAME}-{kind}" for kind in (*kinds, *nodes)}
    assert {role.inputs["permissionsBoundary"] for role in roles.values()} == {BOUNDARY}, (
        "a company's rule refuses roles without it"
    )
    assert not any("permissionsBoundary" in role.inputs for role in stack().of("iam:Role").values())


def test_every_role_and_policy_has_the_path() -> None:
    declared = stack(path="/ci/builds/")
    for kind in ("iam:Role", "iam:Policy"):
        assert {each.inputs["path"] for each in declared.of(kind).values()} == {"/ci/builds/"}
        assert {each.inputs["path"] for each in stack().of(kind).values()} == {"/"}


def test_what_refers_to_a_role_has_its_path() -> None:
    declared = stack(path="/ci/")
    named = rf"arn:aws:iam::{ACCOUNT}:role/ci/{NAME}[a-z0-9-]+"
    users = [
        *(each.inputs["nodeRoleArn"] for each in declared.of("eks:NodeGroup").values()),
        *(each.inputs["roleArn"] for each in declared.of("eks:PodIdentityAssociation").values()),
        *(each.inputs["customRoleArn"] for each in declared.of("ecr:RepositoryCreationTemplate").values()),
        *declared.outputs["push-role-arns"].values(),
    ]
    assert len(users) == 4 + 2 + 2 + 2
    assert all(re.fullmatch(named, user) for user in users), users
    attached = {each.inputs["policyArn"] for each in declared.of("iam:RolePolicyAttachment").values()}
    own = {each for each in attached if f":{ACCOUNT}:" in each}
    assert own
    assert all(each.startswith(f"arn:aws:iam::{ACCOUNT}:policy/ci/{NAME}") for each in own)
    assert {each for each in attached if "/AmazonEKSWorkerNodePolicy" in each} == {
        "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    }, "AWS's own policies are where AWS has them"


def test_a_new_paths_roles_can_exist_beside_the_old_ones() -> None:
    paths = ("/", "/ci/", "/ci/builds/")
    names = {
        path: {each.inputs["name"].lower() for kind in ("iam:Role", "iam:Policy") for each in found.of(kind).values()}
        for path in paths
        if (found := stack(path=path))
    }
    for one, other in product(paths, paths):
        assert one == other or not names[one] & names[other], "IAM refuses the new role while the old one exists"
    assert all(name.startswith(f"{NAME}-") for name in names["/ci/"]), "the deploy role's policy names them by this"
    assert names["/"] >= {f"{NAME}-push", f"{NAME}-push-1", f"{NAME}-arm64-node"}, "stacks without a path keep theirs"


@pytest.mark.parametrize("path", ["ci", "/ci", "ci/", "//", "/a//b/", "/*/", "/a b/", "/ä/", "", f"/{'a' * 512}/"])
def test_a_path_that_iam_refuses_or_that_means_other_roles(path: str) -> None:
    assert "buildyard:iam.path" in problems(iam={"path": path})


@pytest.mark.parametrize("path", ["/", "/ci/", "/ci/builds/", "/Team_A+b=c,d.e@f-g/"])
def test_paths_that_iam_takes(path: str) -> None:
    assert Iam.model_validate({"path": path}).path == path


@pytest.mark.parametrize(
    "arn",
    [
        "boundary",
        f"arn:aws:iam::{ACCOUNT}:role/boundary",
        "arn:aws:iam::policy/boundary",
        f"arn:aws:iam::{ACCOUNT}:policy/*",
    ],
)
def test_a_boundary_that_is_no_policy(arn: str) -> None:
    found = problems(iam={"permissions-boundary": arn})
    assert "policy/boundary" in found["buildyard:iam.permissions-boundary"].hint


def test_a_replaced_role_is_deleted_after_the_runner_whose_jobs_have_it() -> None:
    declared = stack()
    for tier in ("", "-unprotected"):
        role = declared.of("iam:Role")[f"{NAME}{tier}-push"].id
        runners = [
            each for name, each in declared.of("index:UserRunner").items() if ("-unprotected" in name) == bool(tier)
        ]
        assert len(runners) == 2
        assert all(role in runner.depends_on for runner in runners), "running jobs would lose their rights"


def test_nodes_with_a_path_need_a_cluster_with_access_entries() -> None:
    message = refused(iam={"path": "/ci/"}, cluster={"name": "old"})
    assert "buildyard:iam.path: nodes whose role has a path cannot join the cluster old" in message
    assert "authenticationMode=API_AND_CONFIG_MAP" in message, "nobody knows the way out by heart"
    assert declare(iam={"path": "/"}, cluster={"name": "old"}).all


@pytest.mark.parametrize("owner", ["999999999999", "aws-cn"])
def test_a_boundary_is_of_the_account(owner: str) -> None:
    arn = BOUNDARY.replace(":aws:", f":{owner}:") if owner == "aws-cn" else BOUNDARY.replace(ACCOUNT, owner)
    message = refused(iam={"permissions-boundary": arn})
    assert f"buildyard:iam.permissions-boundary: {arn} is not a policy of the account {ACCOUNT}" in message


def test_a_boundary_exists() -> None:
    message = refused({"getPolicy": "couldn't find resource"}, iam={"permissions-boundary": BOUNDARY})
    assert "buildyard:iam.permissions-boundary: couldn't find resource" in message
    assert declare(iam={"permissions-boundary": "arn:aws:iam::aws:policy/PowerUserAccess"}).all
