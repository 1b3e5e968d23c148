"""A company's network: its authorities, proxy and mirrors in what a stack deploys."""

import sys
from datetime import datetime, timezone
from typing import Any

import pytest

from components.company_network import CA_CONFIG_MAP, notices, proxy_variables
from sandbox.providers.kubernetes.runner_chart import rendered_config
from stacks.architecture import Architecture
from stacks.cluster import Network
from stacks.network import Proxy
from stacks.versions import RUNNER_CHART_VERSION, RUNNER_VERSION
from tests.components.answers import REGISTRY
from tests.components.connections import connects_to
from tests.components.mocks import NAME, Declared, declare
from tests.stacks.authorities import authority

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PEM = authority()
URL = "http://proxy.example.com:3128"


def network(**keys: Any) -> Declared:
    return declare(network={key.replace("_", "-"): value for key, value in keys.items()})


def values(declared: Declared, architecture: Architecture = Architecture.ARM64) -> dict[str, Any]:
    found: dict[str, Any] = declared.of("helm.sh:Release")[f"{NAME}-{architecture}"].plain()["values"]
    return found


def runner(declared: Declared, architecture: Architecture = Architecture.ARM64) -> dict[str, Any]:
    [found] = tomllib.loads(rendered_config(values(declared, architecture)["runners"]["config"]))["runners"]
    return dict(found)


def environment(declared: Declared) -> dict[str, str]:
    return dict(each.split("=", 1) for each in runner(declared).get("environment", []))


def test_without_keys_nothing_changes() -> None:
    plain = network()
    assert not plain.of("core:ConfigMap")
    assert not environment(plain)
    assert not {"extraEnv", "certsSecretName"} & values(plain).keys()
    assert values(plain)["image"] == {"tag": f"alpine-v{RUNNER_VERSION}"}
    assert "helper_image" not in runner(plain)["kubernetes"]


def test_jobs_and_managers_get_the_companys_authorities() -> None:
    company = network(ca_bundle=PEM)
    config_map = company.only("core:ConfigMap").plain()
    assert config_map["metadata"]["name"] == CA_CONFIG_MAP
    assert config_map["data"] == {"ca.pem": PEM}
    [volume] = runner(company)["kubernetes"]["volumes"]["config_map"]
    assert (volume["name"], volume["read_only"]) == (CA_CONFIG_MAP, True)
    assert environment(company) == {"BUILDYARD_CA_BUNDLE": f"{volume['mount_path']}/ca.pem"}
    secret = company.of("core:Secret")[f"{NAME}-{CA_CONFIG_MAP}"].plain()
    assert secret["stringData"] == {"gitlab.com.crt": PEM}, "the runner looks for the name of GitLab's host"
    assert values(company)["certsSecretName"] == secret["metadata"]["name"]


def test_another_bundle_rolls_the_managers_and_keeps_the_config_map_for_pods() -> None:
    before, after = network(ca_bundle=PEM), network(ca_bundle=PEM + authority("Second"))
    assert values(before)["certsSecretName"] != values(after)["certsSecretName"], "managers would keep the old one"
    assert before.only("core:ConfigMap").plain()["metadata"] == after.only("core:ConfigMap").plain()["metadata"], (
        "a pod that waits for its node would never start"
    )
    [provider] = after.of("providers:kubernetes").values()
    assert provider.inputs["enableConfigMapMutable"] in (True, "true"), "Pulumi would replace the ConfigMap"


def test_a_manager_waits_for_its_certificates() -> None:
    release = network(ca_bundle=PEM).of("helm.sh:Release")[f"{NAME}-arm64"]
    assert f"kubernetes:core/v1:ConfigMap {NAME}-{CA_CONFIG_MAP}" in release.depends_on


def test_jobs_and_managers_use_the_proxy() -> None:
    company = network(proxy={"http": "http://plain.example.com:8080", "https": URL, "no-proxy": [".example.com"]})
    given = environment(company)
    assert given["HTTP_PROXY"] == given["http_proxy"] == "http://plain.example.com:8080"
    assert given["HTTPS_PROXY"] == given["https_proxy"] == URL
    assert given["NO_PROXY"] == given["no_proxy"]
    assert given["BUILDYARD_PROXY"] == "true"
    assert values(company)["extraEnv"] == {key: value for key, value in given.items() if key != "BUILDYARD_PROXY"}


def test_what_no_proxy_may_see_is_reached_directly() -> None:
    direct = environment(network(proxy={"https": URL, "no-proxy": ["10.1.0.0/16"]}))["NO_PROXY"].split(",")
    for agent in ("169.254.170.23", "fd00:ec2::23", "169.254.169.254", "fd00:ec2::254"):
        assert agent in direct, "a proxy would see the pod's credentials"
    assert {"localhost", "127.0.0.1", ".svc"} <= {*direct}
    assert "172.20.0.0/16" in direct, "managers would ask the proxy for the Kubernetes API"
    assert "10.1.0.0/16" in direct


def test_a_proxy_for_one_scheme_leaves_the_other_alone() -> None:
    assert {"HTTP_PROXY", "http_proxy"} & proxy_variables(Proxy(https=URL), services=()).keys() == set()


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [("http://10.0.9.9:3128", "10.0.9.9", 3128), ("https://[2001:db8:1234::9]", "2001:db8:1234::9", 443)],
)
def test_the_network_policy_lets_builds_to_a_proxy_in_the_vpc(url: str, address: str, port: int) -> None:
    policies = [
        network(**keys).only("networking.k8s.io:NetworkPolicy").plain()["spec"]
        for keys in ({}, {"proxy": {"https": url}})
    ]
    assert [connects_to(policy, address, port) for policy in policies] == [False, True]
    assert not connects_to(policies[1], address, 22)


def test_mirrors_replace_what_comes_from_gitlab() -> None:
    mirrors = {
        "chart": "https://charts.example.com/stable",
        "runner-image": "registry.example.com:5000/gitlab/gitlab-runner",
        "helper-image": "registry.example.com:5000/gitlab/gitlab-runner-helper",
    }
    company = network(mirrors=mirrors)
    release = company.of("helm.sh:Release")[f"{NAME}-arm64"].plain()
    assert (release["chart"], release["repositoryOpts"]) == ("gitlab-runner", {"repo": mirrors["chart"]})
    assert values(company)["image"] == {
        "registry": "registry.example.com:5000",
        "image": "gitlab/gitlab-runner",
        "tag": f"alpine-v{RUNNER_VERSION}",
    }
    for architecture, name in ((Architecture.ARM64, "arm64"), (Architecture.AMD64, "x86_64")):
        helper = runner(company, architecture)["kubernetes"]["helper_image"]
        assert helper == f"{mirrors['helper-image']}:{name}-v{RUNNER_VERSION}"


def test_a_chart_in_a_registry() -> None:
    release = network(mirrors={"chart": "oci://registry.example.com/charts/gitlab-runner"}).of("helm.sh:Release")
    found = release[f"{NAME}-arm64"].plain()
    assert found["chart"] == "oci://registry.example.com/charts/gitlab-runner"
    assert found["version"] == RUNNER_CHART_VERSION
    assert "repositoryOpts" not in found, "Helm would look for the chart in a repository"


NOW = datetime.now(timezone.utc)


def said(**keys: Any) -> list[str]:
    settings = Network.model_validate({key.replace("_", "-"): value for key, value in keys.items()})
    return list(map(str, notices(settings, NOW, registry_host=REGISTRY, vpc_endpoints=())))


def test_the_preview_says_that_images_go_through_the_proxy_although_the_vpc_has_endpoints() -> None:
    def about(*direct: str) -> list[str]:
        proxy = {"https": "http://10.0.9.9:3128", "no-proxy": direct}
        settings = Network.model_validate({"proxy": proxy})
        return list(map(str, notices(settings, NOW, registry_host=REGISTRY, vpc_endpoints=("10.0.1.5",))))

    [notice] = about()
    assert "Add .dkr.ecr.ap-east-1.amazonaws.com and the names of the others to no-proxy" in notice
    assert not about(".dkr.ecr.ap-east-1.amazonaws.com")
    assert not about(REGISTRY)
    assert about(".example.com")


def test_the_preview_names_authorities_that_expire() -> None:
    assert not said(ca_bundle=PEM)
    [old, soon] = said(ca_bundle=authority("Old", days=-1) + authority("Soon", days=5) + PEM)
    assert "the authority Old expired on" in old
    assert "the authority Soon expires on" in soon


def test_the_preview_names_a_proxy_that_the_network_policy_may_stop() -> None:
    [notice] = said(proxy={"http": URL, "https": URL})
    assert (
        "if proxy.example.com has an address in the VPC, the network policy closes it: it knows no names. "
        "Add the address to buildyard:network.allow with the port 3128." in notice
    )
    assert not said(proxy={"https": URL}, allow=[{"cidr": "10.0.9.9/32", "ports": [3128]}])
    assert not said(proxy={"https": "http://10.0.9.9:3128"})
