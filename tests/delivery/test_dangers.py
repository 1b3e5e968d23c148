"""Tests of the dangers that a reviewer is warned of, and of changes without a warning."""

import json
from typing import Any

import pytest

from delivery.danger import Concern, Danger
from tests.delivery.previews import SECRET, UNKNOWN, Step, found, only, step, urn_of

REPOSITORY = "aws:ecr/repository:Repository"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
RUNNER = "gitlab:index/userRunner:UserRunner"
RELEASE = "kubernetes:helm.sh/v3:Release"
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "aws:iam/rolePolicy:RolePolicy"
ROLE = "aws:iam/role:Role"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
KUBERNETES_ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
FILE = "gitlab:index/repositoryFile:RepositoryFile"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


def test_a_repository_is_lost_with_its_images_only_if_the_state_says_so() -> None:
    lost = only(step("delete", REPOSITORY, old={"name": "a"}, outputs={"forceDelete": True}))
    kept = only(step("delete", REPOSITORY, old={"name": "a", "forceDelete": False}))
    assert lost.concern is kept.concern is Concern.LOSS
    assert "All images in it are lost" in lost.text
    assert "the update fails if it holds images" in kept.text


def test_turning_force_delete_on_while_replacing_does_not_count_yet() -> None:
    changed = step(
        "replace",
        REPOSITORY,
        old={"name": "a"},
        new={"name": "b", "forceDelete": True},
        details={"name": "update-replace"},
    )
    assert "the update fails if it holds images" in only(changed).text
    assert "is replaced because the name changes" in only(changed).text


def test_others_who_may_pull_are_named() -> None:
    pull = {"Action": "ecr:BatchGetImage", "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]}}
    danger = only(step("create", "aws:ecr/repositoryPolicy:RepositoryPolicy", "web", new={"policy": policy(pull)}))
    assert danger.concern is Concern.RIGHTS
    assert danger.text == (
        "The repository policy `web` newly allows: everybody in the account `111122223333` may use `ecr:BatchGetImage`."
    )


@pytest.mark.parametrize("operation", ["delete", "replace"])
@pytest.mark.parametrize(
    ("kind", "word"), [(NODE_GROUP, "terminates nodes"), (RUNNER, "jobs fail"), (RELEASE, "cut off")]
)
def test_what_interrupts_running_jobs_is_told(operation: str, kind: str, word: str) -> None:
    danger = only(step(operation, kind, "arm64", old={"values": {}}, new={"values": {}}))
    assert danger.concern is Concern.INTERRUPTION
    assert word in danger.text
    assert "`arm64`" in danger.text


@pytest.mark.parametrize("kind", [RUNNER, RELEASE])
def test_a_deletion_that_waits_for_jobs_is_said_to_wait(kind: str) -> None:
    assert "waits for its jobs" in only(step("delete", kind, "arm64", old={"values": {}}, waits=True)).text


def test_a_node_group_goes_after_the_jobs_of_its_runner() -> None:
    group = step("replace", NODE_GROUP, "arm64", details={"instanceTypes[0]": "update-replace"})

    def runner(operation: str, *, waits: bool = True) -> Step:
        used = [urn_of(NODE_GROUP, "arm64")]
        return step(operation, RUNNER, "arm64", {"a": 1}, {"a": 1}, dependencies=used, waits=waits)

    def said(*steps: Step) -> str:
        [text] = [danger.text for danger in found(*steps) if "node group" in danger.text]
        return text

    assert "pauses the runner and waits" in said(group, runner("replace"))
    assert "terminates nodes after 5 minutes" in said(group, runner("update")), "nothing waits for a runner that stays"
    assert "terminates nodes after 5 minutes" in said(group, runner("replace", waits=False))


def test_new_nodes_for_old_are_told_and_a_mere_size_is_not() -> None:
    assert "evicted" in only(step("update", NODE_GROUP, details={"launchTemplate.version": "update"})).text
    assert not found(step("update", NODE_GROUP, details={"scalingConfig.maxSize": "update"}))


def test_a_managers_restart_tells_how_long_jobs_may_take() -> None:
    values = {"terminationGracePeriodSeconds": 10800}
    changed = step(
        "update", RELEASE, old={"values": values}, new={"values": {}}, details={"values.concurrent": "update"}
    )
    assert "after 180 minutes" in only(changed).text
    assert not found(step("update", RELEASE, details={"timeout": "update"}))


def test_a_managers_restart_shows_what_changes_for_jobs() -> None:
    def values(config: str) -> dict[str, Any]:
        return {"values": {"runners": {"config": config}}}

    def change(before: str, after: str) -> Danger:
        return only(step("update", RELEASE, "arm64", values(before), values(after), details={"values": "update"}))

    ceiling = '[[runners]]\ncpu_limit_overwrite_max_allowed = "%s"\n'
    assert change(ceiling % 8, ceiling % 16).diff.splitlines()[3:] == [
        " [[runners]]",
        '-cpu_limit_overwrite_max_allowed = "8"',
        '+cpu_limit_overwrite_max_allowed = "16"',
    ]
    assert "glrt-" not in change(ceiling % 8, 'token = "glrt-abcdefghijklmnopqrst"').diff
    for hidden in (UNKNOWN, SECRET):
        changed = step("update", RELEASE, "arm64", values("a"), values(hidden), details={"values": "update"})
        assert not any(danger.diff for danger in found(changed)), "a placeholder would be shown as the new settings"


def test_creating_costs_nobody_anything() -> None:
    assert not found(*(step("create", kind) for kind in (REPOSITORY, NODE_GROUP, RUNNER, RELEASE, NAMESPACE)))


def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    danger = only(step("delete", NAMESPACE))
    assert danger.concern is Concern.LOSS
    assert "All that is in it is deleted with it" in danger.text


def test_a_namespace_goes_after_the_jobs_of_its_runners() -> None:
    namespace = step("replace", NAMESPACE, "builds", details={"metadata.name": "update-replace"})

    def said(*steps: Step) -> str:
        [text] = [danger.text for danger in found(namespace, *steps) if "namespace" in danger.text.split("`")[0]]
        return text

    both = [step("replace", RUNNER, name, {"a": 1}, {"a": 2}, waits=True) for name in ("arm64", "amd64")]
    assert "is replaced because the name changes. The update first pauses the runner and waits" in said(*both)
    assert "All that is in it is deleted with it" in said(both[0], step("delete", RUNNER, "amd64", {"a": 1}))


def test_a_policy_tells_just_the_rights_that_are_new() -> None:
    old = policy({"Action": ["ecr:PutImage"], "Resource": ["arn:a"]})
    new = policy({"Action": ["ecr:PutImage"], "Resource": ["arn:a", "arn:b"]}, {"Action": "s3:*", "Resource": "*"})
    danger = only(step("update", POLICY, "push", {"policy": old}, {"policy": new}, details={"policy": "update"}))
    assert danger.concern is Concern.RIGHTS
    assert danger.text == "The IAM policy `push` newly allows: use `ecr:PutImage` on `arn:b`; use `s3:*`."


def test_losing_rights_or_spelling_them_differently_is_no_danger() -> None:
    old = policy({"Action": ["ecr:*"], "Resource": "arn:aws:ecr:*"})
    new = policy({"Action": "ECR:PutImage", "Resource": ["arn:aws:ecr:x"]})
    assert not found(step("update", POLICY, "push", {"policy": old}, {"policy": new}, details={"policy": "update"}))
    assert not found(step("delete", POLICY, "push", {"policy": old}))


def test_a_denial_that_goes_is_a_right_that_comes() -> None:
    denial = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    old, new = policy({"Action": "*", "Resource": "*"}, denial), policy({"Action": "*", "Resource": "*"})
    danger = only(step("update", POLICY, "push", {"policy": old}, {"policy": new}, details={"policy": "update"}))
    assert "no longer forbids" in danger.text


def test_who_may_become_a_role_is_told() -> None:
    pods = {"Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    stranger = {"Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole"}
    old, new = policy(pods), policy(pods, stranger)
    danger = only(step("update", ROLE, "push", {"assumeRolePolicy": old}, {"assumeRolePolicy": new}))
    assert danger.text == "The IAM role `push` can now be assumed by everybody in the account `999999999999`."
    assert "pods.eks" not in danger.text, "the reviewer must see only what is new"


@pytest.mark.parametrize("after", [UNKNOWN, SECRET, "no JSON", '{"Statement": [{}]}'])
def test_a_policy_that_cannot_be_compared_is_told_rather_than_passed_over(after: str) -> None:
    danger = found(step("update", POLICY, "push", {"policy": policy()}, {"policy": after}))[0]
    assert danger.concern is Concern.RIGHTS
    assert "cannot be" in danger.text


def test_managed_policies_and_pod_identities_are_told() -> None:
    attached = only(step("create", ATTACHMENT, new={"role": "push", "policyArn": "arn:aws:iam::aws:policy/Admin"}))
    assert attached.text == "All rights of the policy `arn:aws:iam::aws:policy/Admin` go to the role `push`."
    assert "of a policy that this update creates" in only(step("create", ATTACHMENT, new={"policyArn": UNKNOWN})).text
    account = {"namespace": "builds", "serviceAccount": "builds", "roleArn": UNKNOWN}
    assert (
        "`builds/builds` can assume a role that this update creates"
        in only(step("create", ASSOCIATION, new=account)).text
    )


def test_kubernetes_rules_tell_just_the_rights_that_are_new() -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    wider = {**rule, "resources": ["pods", "secrets"]}
    danger = only(step("update", KUBERNETES_ROLE, "manager", {"rules": [rule]}, {"rules": [wider]}))
    assert danger.text == "The Kubernetes role `manager` gains rights in Kubernetes: `get` on `secrets`."


def test_the_rules_of_a_manager_are_compared_too() -> None:
    def values(*verbs: str) -> dict[str, Any]:
        return {"values": {"rbac": {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": list(verbs)}]}}}

    changed = step("update", RELEASE, "arm64", values("get"), values("get", "list"), details={"values": "update"})
    rights = [danger.text for danger in found(changed) if danger.concern is Concern.RIGHTS]
    assert rights == ["The runner manager `arm64` gains rights in Kubernetes: `list` on `secrets`."]


@pytest.mark.parametrize("rules", [UNKNOWN, SECRET, [7]])
def test_rules_that_cannot_be_compared_are_told(rules: object) -> None:
    danger = found(step("update", KUBERNETES_ROLE, "manager", {"rules": []}, {"rules": rules}))[0]
    assert "cannot be compared" in danger.text


def test_a_published_pipeline_comes_with_its_difference() -> None:
    old = {"project": "platform/images", "filePath": ".gitlab-ci.yml", "content": "a: 1\nb: 2\n"}
    danger = only(step("update", FILE, "file", old, {**old, "content": "a: 1\nb: 3\n"}, details={"content": "update"}))
    assert danger.concern is Concern.PIPELINE
    assert danger.diff.splitlines()[2:] == ["@@ -1,2 +1,2 @@", " a: 1", "-b: 2", "+b: 3"]
    assert not found(step("update", FILE, "file", old, old, details={"updateCommitMessage": "update"}))


def test_a_file_in_base64_is_compared_as_text() -> None:
    old = {"filePath": "f", "encoding": "base64", "content": "b25l"}
    danger = only(step("update", FILE, "f", old, {**old, "content": "dHdv"}, details={"content": "update"}))
    assert danger.diff.splitlines()[3:] == ["-one", "+two"]


def test_a_credential_in_a_published_file_is_kept_back() -> None:
    new = {"filePath": "f", "content": "token: glpat-abcdefghijklmnopqrst\n"}
    assert "glpat-" not in only(step("create", FILE, "f", new=new)).diff


def test_a_long_difference_ends_with_what_is_left_out() -> None:
    new = {"filePath": "f", "content": "line\n" * 5000}
    lines = only(step("create", FILE, "f", new=new)).diff.splitlines()
    assert len(lines) == 301
    assert lines[-1] == "# … and 4,703 more lines, not shown here"


def test_a_rotated_secret_is_told_without_its_value() -> None:
    secret = "kubernetes:core/v1:Secret"
    danger = only(
        step(
            "update", secret, "token", {"stringData": SECRET}, {"stringData": SECRET}, details={"stringData": "update"}
        )
    )
    assert danger.concern is Concern.SECRET
    assert "The secret `token` changes: `stringData`" in danger.text


def test_the_token_of_a_replaced_runner_is_said_to_reach_its_manager() -> None:
    runner = step("replace", RUNNER, "arm64", {"a": 1}, {"a": 2})
    secret = step(
        "replace",
        "kubernetes:core/v1:Secret",
        "arm64",
        {"stringData": SECRET},
        {"stringData": SECRET},
        details={"stringData": "update-replace"},
        dependencies=[urn_of(RUNNER, "arm64")],
    )
    [danger] = [each for each in found(runner, secret) if each.concern is Concern.SECRET]
    assert danger.text.startswith("The secret `arm64` gets the token of a new runner")


def test_the_worst_comes_first() -> None:
    steps = [
        step("create", FILE, "a", new={"filePath": "f", "content": "x"}),
        step("create", ATTACHMENT, "b", new={"role": "r", "policyArn": "p"}),
        step("delete", RUNNER, "c"),
        step("delete", REPOSITORY, "d", {"name": "d"}),
    ]
    assert [danger.concern for danger in found(*steps)] == [
        Concern.LOSS,
        Concern.INTERRUPTION,
        Concern.RIGHTS,
        Concern.PIPELINE,
    ]


def access(before: str, after: str) -> Danger:
    old, new = {"accessLevel": before}, {"accessLevel": after}
    return only(step("update", RUNNER, "arm64", old=old, new=new, details={"accessLevel": "update"}))


def test_a_runner_that_opens_to_merge_requests_is_a_danger() -> None:
    opened = access("ref_protected", "not_protected")
    assert opened.concern is Concern.RIGHTS
    assert "`arm64` opens **to every branch and merge request**" in opened.text


def test_a_runner_that_closes_to_merge_requests_says_what_open_branches_need() -> None:
    closed = access("not_protected", "ref_protected")
    assert closed.concern is Concern.INTERRUPTION
    assert "merge the default branch into open branches" in closed.text


def test_a_runner_with_the_same_access_and_a_new_runner_are_no_danger() -> None:
    old, new = {"accessLevel": "ref_protected", "paused": True}, {"accessLevel": "ref_protected", "paused": False}
    assert not found(step("update", RUNNER, old=old, new=new, details={"paused": "update"}))
    assert not found(step("create", RUNNER, new={"accessLevel": "not_protected"}))


def test_a_deleted_review_repository_is_not_taken_for_a_release() -> None:
    old = {"name": "a/review", "tags": {"buildyard:tier": "unprotected"}}
    lost = only(step("delete", REPOSITORY, old=old, outputs={"forceDelete": True}))
    assert lost.concern is Concern.LOSS
    assert "with the images and caches of merge requests" in lost.text
    assert "All images in it are lost" not in lost.text
    other = only(step("delete", REPOSITORY, old={"name": "a/review"}, outputs={"forceDelete": True}))
    assert "All images in it are lost" in other.text, "an image may have this name"


@pytest.mark.parametrize("operation", ["create", "replace"])
@pytest.mark.parametrize(
    ("group", "which"),
    [(7, "the GitLab group with the ID `7`"), (UNKNOWN, "a GitLab group"), (7.0, "the GitLab group with the ID `7`")],
)
def test_a_groups_runner_is_said_to_serve_every_project(operation: str, group: object, which: str) -> None:
    [danger] = [
        each
        for each in found(step(operation, RUNNER, "arm64", {"groupId": 1}, {"groupId": group}))
        if each.concern is Concern.RIGHTS
    ]
    assert danger.text == (
        f"The runner `arm64` takes jobs of every project of {which}, subgroups included. "
        "Use a group that contains image projects alone."
    )


def test_a_runner_that_is_replaced_for_the_same_group_is_no_gain() -> None:
    same = {"groupId": 7, "accessLevel": "ref_protected"}
    replaced = found(step("replace", RUNNER, "arm64", same, same, details={"maintenanceNote": "update-replace"}))
    assert {danger.concern for danger in replaced} == {Concern.INTERRUPTION}


def test_a_groups_runner_of_protected_refs_is_said_to_publish_for_every_project() -> None:
    new = {"groupId": 7, "accessLevel": "ref_protected"}
    text = only(step("create", RUNNER, "arm64", new=new)).text
    assert "from branches that it protects itself, and so publish this stack's releases" in text


def test_the_runner_of_one_project_serves_no_other() -> None:
    assert found(step("create", RUNNER, "arm64", new={"projectId": 3})) == []
    assert found(step("update", RUNNER, "arm64", {"groupId": 1}, {"groupId": 1, "paused": False})) == []
