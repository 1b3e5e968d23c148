"""Tests of the warnings of guards that weaken: admission and network policies."""

from typing import Any

import pytest

from delivery.danger import Concern
from tests.delivery.previews import found, only, step

ADMISSION = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
NETWORK = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def admission(*rules: str) -> dict[str, Any]:
    return {"spec": {"validations": [{"expression": f"{rule} == false", "message": f"no {rule}"} for rule in rules]}}


def test_an_admission_policy_that_refuses_less_is_told() -> None:
    before, after = admission("privileged", "hostPath"), admission("hostPath", "hostPort")
    danger = only(step("update", ADMISSION, "builds", old=before, new=after))
    assert danger.concern is Concern.RIGHTS
    assert "`no privileged`" in danger.text
    assert "hostPath" not in danger.text
    assert not found(step("update", ADMISSION, old=admission("hostPath"), new=after))
    assert not found(step("create", ADMISSION, new=after))


@pytest.mark.parametrize("key", ["variables", "matchConstraints", "matchConditions", "failurePolicy"])
def test_an_admission_policy_that_sees_other_pods_is_told(key: str) -> None:
    before = admission("hostPath")
    after = {"spec": {**before["spec"], key: "Ignore"}}
    assert f"other `{key}` than before" in only(step("update", ADMISSION, "builds", old=before, new=after)).text
    assert not found(step("create", ADMISSION, new=after))


def test_an_admission_policy_that_only_warns_is_told() -> None:
    deny, warn = ({"spec": {"validationActions": [action]}} for action in ("Deny", "Warn"))
    binding = f"{ADMISSION}Binding"
    assert "no longer in effect" in only(step("update", binding, "builds", old=deny, new=warn)).text
    assert not found(step("create", binding, new=deny))


@pytest.mark.parametrize("kind", [ADMISSION, f"{ADMISSION}Binding"])
def test_a_namespace_that_admits_any_pod_is_told(kind: str) -> None:
    assert "admits any pod" in only(step("delete", kind, "builds", old=admission("hostPath"))).text


def network(*denied: str, allowed: str = "") -> dict[str, Any]:
    internet = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(denied)}}]}
    more = [{"to": [{"ipBlock": {"cidr": allowed}}], "ports": [{"port": 443}]}] if allowed else []
    return {"spec": {"egress": [internet, {"ports": [{"port": 53}]}, *more]}}


def test_a_network_policy_that_opens_something_is_told() -> None:
    before, after = network("10.0.0.0/16", "10.1.0.0/16"), network("10.0.0.0/16", allowed="10.0.3.4/32")
    danger = only(step("update", NETWORK, "builds", old=before, new=after))
    assert danger.concern is Concern.RIGHTS
    assert danger.text == "The network policy `builds` opens for build pods: `10.0.3.4/32 port 443`, `10.1.0.0/16`."
    assert not found(step("update", NETWORK, old=network("10.0.0.0/16"), new=before)), "it closes something"
    assert not found(step("create", NETWORK, new=after))
    rules = before["spec"]["egress"]
    pods = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    opened = {"spec": {"egress": [*rules, {"to": [pods], "ports": [{"port": 53}, {"port": 53}]}, {}]}}
    text = only(step("update", NETWORK, "builds", old=before, new=opened)).text
    assert text.endswith(": `every address`, `pods with certain labels port 53`.")
    assert "every pod" in only(step("delete", NETWORK, "builds", old=before)).text
