"""A company's network in a whole deployment, and what other certificates change."""

import json
from typing import Any

from sandbox.builds.pod_settings import PodSettings, deployed_pod_settings
from sandbox.scratch import ScratchProject
from tests.deployment.conftest import update
from tests.stacks.authorities import PRIVATE_KEY, authority

URL = "http://proxy.example.com:3128"


def pods(scratch: ScratchProject, tier: str = "") -> PodSettings:
    kubernetes = scratch.endpoints()["kubernetes"]
    return deployed_pod_settings(kubernetes, f"buildyard-sandbox{tier}", f"buildyard-sandbox{tier}-arm64")


def steps(printed: str) -> dict[str, str]:
    """A preview's operation on each resource, by type and name, without those that stay."""
    found: list[dict[str, Any]] = json.loads(printed[printed.index("{") :])["steps"]
    return {"::".join(each["urn"].split("::")[2:]): each["op"] for each in found if each["op"] != "same"}


def test_other_certificates_change_in_place_and_roll_the_managers(scratch: ScratchProject) -> None:
    bundle = scratch.root / "stacks" / "company-ca.pem"
    first, second = authority("First"), authority("Second")
    bundle.write_text(first)
    config = scratch.read_config()
    config["buildyard:network"] = {"ca-bundle": bundle.name, "proxy": {"https": URL, "http": URL}}
    del config["buildyard:nodes"]["amd64"]
    scratch.write_config(config)
    done = scratch.sandbox("up", "--skip-preview")
    assert done.returncode == 0, done.stdout + done.stderr
    for tier in ("", "-unprotected"):
        assert pods(scratch, tier).files == {"/etc/buildyard/ca/ca.pem": first}
        assert pods(scratch, tier).environment["HTTPS_PROXY"] == URL

    bundle.write_text(second)
    previewed = scratch.sandbox("preview", "--json")
    assert previewed.returncode == 0, previewed.stdout + previewed.stderr
    changed = steps(previewed.stdout)
    kinds = {(name.rpartition("$")[2].partition("::")[0], op) for name, op in changed.items()}
    assert ("kubernetes:core/v1:ConfigMap", "update") in kinds, "a pod that waits for its node would lose it"
    assert ("kubernetes:helm.sh/v3:Release", "update") in kinds, "managers would keep the old certificates"
    others = {kind for kind, op in kinds if "replace" in op} - {"kubernetes:core/v1:Secret"}
    assert not others, "certificates cost no runner and no node"
    update(scratch)
    assert pods(scratch).files == {"/etc/buildyard/ca/ca.pem": second}


def test_a_private_key_is_refused_and_not_repeated(scratch: ScratchProject) -> None:
    (scratch.root / "stacks" / "key.pem").write_text(PRIVATE_KEY)
    with scratch.edited(lambda config: config.update({"buildyard:network": {"ca-bundle": "key.pem"}})):
        done = scratch.sandbox("preview")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "buildyard:network.ca-bundle: contains a private key, which builds must never see" in said
    assert PRIVATE_KEY.splitlines()[1] not in said
