"""Lookups before the first resource. They report all problems at once."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.platform import deploy
from components.preflight.gitlab import gitlab_url
from tests.components.mocks import Declared, attempt, declare, default_branches
from tests.components.preflight import inspected
from tests.stacks.stack_settings import project, settings


def refused(refusals: dict[str, str] | None = None, **keys: Any) -> str:
    """The message of a deployment that creates nothing."""
    stack = settings(**keys)
    declared = Declared(refusals=refusals or {}, branches=default_branches(stack))
    with pytest.raises(pulumi.RunError) as caught:
        attempt(lambda: deploy(lambda: stack), declared)
    assert declared.all == [], "something was created for a stack that cannot work"
    return str(caught.value)


def test_another_accounts_credentials_are_refused() -> None:
    message = refused(registry={"account": "210987654321"})
    assert "buildyard:registry.account" in message
    assert "123456789012, not 210987654321" in message


def test_the_accounts_own_credentials_are_accepted() -> None:
    assert declare(registry={"account": "123456789012"}).all


def test_more_images_than_one_role_can_push() -> None:
    images = [{"name": f"a-service-with-a-long-name-{number:04}"} for number in range(1000)]
    assert "Split the projects into several stacks" in refused(projects=[project(*images)])


def test_a_cluster_that_does_not_exist() -> None:
    message = refused({"getCluster": "No cluster found for name: ci."})
    assert "buildyard:cluster.name: No cluster found for name: ci." in message


def test_a_group_that_does_not_exist() -> None:
    assert "buildyard:runners.group: 404 Group Not Found" in refused({"getGroup": "404 Group Not Found"})


def test_a_project_that_does_not_exist() -> None:
    message = refused({"getProject": "404 Project Not Found"}, runners={"project": "platform/images"})
    assert "buildyard:runners.project: 404 Project Not Found" in message


def test_irsa_without_the_clusters_oidc_provider() -> None:
    message = refused({"getOpenIdConnectProvider": "not found"}, identity="irsa")
    assert "buildyard:identity" in message
    assert "use pod-identity" in message


def test_an_instance_type_that_does_not_exist() -> None:
    message = refused(nodes={"arm64": {"instance-types": ["m7g.4xlarge", "m7g.4xlrage"]}})
    assert "buildyard:nodes.arm64.instance-types[1]: EC2 has no m7g.4xlrage" in message


def test_an_instance_type_of_another_processor() -> None:
    message = refused(nodes={"arm64": {"instance-types": ["m7i.4xlarge"]}})
    assert "buildyard:nodes.arm64.instance-types[0]: m7i.4xlarge has x86_64 processors" in message


def test_a_job_that_fits_no_node() -> None:
    image = {"name": "big", "resources": {"cpu": {"request": "4", "limit": "6"}}}
    message = refused(nodes={"arm64": {"instance-types": ["m7g.large"]}}, projects=[project(image)])
    assert "buildyard:projects[0].images[0].resources: build-big:arm64 asks for" in message


def test_all_problems_are_reported_at_once() -> None:
    message = refused(
        {"getCluster": "no cluster", "getGroup": "no group"},
        registry={"account": "210987654321"},
        nodes={"arm64": {"instance-types": ["x1.nano"]}},
    )
    assert "has 4 problems; nothing was changed" in message, "people would fix one problem per run"


def test_a_cluster_too_old_for_user_namespaces() -> None:
    setting = {"user-namespaces": True}
    message = refused(cluster={"name": "old"}, runners=setting)
    assert "buildyard:runners.user-namespaces: Kubernetes 1.32 has no user namespaces for pods" in message
    assert declare(cluster={"name": "old"}).all
    assert declare(runners=setting).all


@pytest.mark.parametrize("function", ["getVpc", "getNetworkInterfaces", "getNetworkInterface"])
def test_a_vpc_that_the_credentials_may_not_describe(function: str) -> None:
    message = refused({function: "UnauthorizedOperation"})
    assert "buildyard:network.deny: UnauthorizedOperation" in message
    assert "or name the networks" in message


def test_only_the_interfaces_of_the_clusters_endpoints_are_asked_for() -> None:
    asked: list[Any] = []

    def answer(args: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(args["filters"])
        return {"ids": []}

    assert inspected(answers={"getNetworkInterfaces": answer}).cluster
    [filters] = asked
    assert {each["name"]: each["values"] for each in filters} == {
        "vpc-id": ["vpc-a"],
        "interface-type": ["vpc_endpoint"],
    }, "builds would reach every machine of the VPC"


def test_nobody_asks_for_the_vpc_when_the_settings_name_the_networks() -> None:
    declared = Declared(refusals=dict.fromkeys(("getVpc", "getNetworkInterfaces"), "UnauthorizedOperation"))
    stack = settings(network={"deny": ["10.0.0.0/8"]})
    attempt(lambda: deploy(lambda: stack), declared)
    assert "10.0.0.0/8" in str(declared.only("networking.k8s.io:NetworkPolicy").inputs)


def test_subnets_of_the_settings_replace_the_clusters() -> None:
    groups = declare(cluster={"name": "ci", "subnet-ids": ["subnet-x"]}).of("eks:NodeGroup").values()
    assert all(group.inputs["subnetIds"] == ["subnet-x"] for group in groups)
    assert declare().of("eks:NodeGroup")["buildyard-test-arm64"].inputs["subnetIds"] == [
        "subnet-a",
        "subnet-b",
        "subnet-c",
    ]


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("", "https://gitlab.com/"),
        ("https://gitlab.example.com/api/v4/", "https://gitlab.example.com/"),
        ("https://example.com/gitlab/api/v4", "https://example.com/gitlab/"),
    ],
)
def test_runners_find_gitlab_at_the_address_of_its_api(api: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_BASE_URL", api)
    assert gitlab_url() == url


def test_what_gitlab_does_not_protect_is_refused_by_name() -> None:
    unprotected = {"default-branch": "develop", "release-tags": ["v*", "r-*"]}
    message = refused(trust="isolated", projects=[project({"name": "web"}, **unprotected)])
    assert "buildyard:projects[0].default-branch: platform/images does not protect the branch develop" in message
    assert "buildyard:projects[0].release-tags[1]: platform/images does not protect the Git tags r-*" in message
    assert "release-tags[0]" not in message


def test_protection_does_not_matter_to_a_shared_tier() -> None:
    stack = settings(trust="shared", projects=[project({"name": "web"}, **{"default-branch": "develop"})])
    declared = Declared(refusals={"getProjectProtectedBranches": "403 Forbidden"}, branches=default_branches(stack))
    attempt(lambda: deploy(lambda: stack), declared)
    assert declared.outputs


@pytest.mark.parametrize("function", ["getProjectProtectedBranches", "getProjectProtectedTags"])
def test_protection_that_cannot_be_read_is_a_problem_of_the_project(function: str) -> None:
    message = refused({function: "403 Forbidden"}, trust="isolated")
    assert "buildyard:projects[0].path: 403 Forbidden" in message
