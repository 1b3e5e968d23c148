"""How jobs log in to registries, and where builds pull from."""

import json
from typing import Any

from pipeline import scripts
from pipeline.inputs import PipelineInputs
from stacks.registries import UPSTREAMS, Login, cache_folder, cached_upstreams, split_reference
from stacks.trust import Tier


def login(inputs: PipelineInputs) -> tuple[str, ...]:
    """The scripts that log in to the stack's own registry."""
    return _login(inputs, [inputs.registry_host], {})


def build_login(inputs: PipelineInputs) -> tuple[str, ...]:
    """The scripts that log in to all registries of builds, set BuildKit's mirrors, and explain refusals."""
    registry = inputs.settings.registry
    logins = {host: _facts(each) for host, each in registry.logins.items()}
    pulled = [split_reference(each, inputs.registry_host)[0] for each in registry.pull_from]
    facts = {
        "pull-from": list(registry.pull_from),
        "logins": logins,
        "upstreams": {each.host: each.key for each in UPSTREAMS.values()},
    }
    upstreams = [each.upstream for each in cached_upstreams(registry.pull_through)]
    return (
        *_login(inputs, [inputs.registry_host, *pulled], logins),
        scripts.function("explain_refusal", "refusals.py", inputs.registry_host, json.dumps(facts)),
        scripts.shell(
            "registries.sh",
            mirrors=" ".join(f"{each.host}={each.folder}" for each in upstreams),
            cache_folder=cache_folder(registry.prefix, Tier.PROTECTED),
            review_cache_folder=cache_folder(
                registry.prefix,
                Tier.UNPROTECTED if Tier.UNPROTECTED in inputs.settings.trust.tiers else Tier.PROTECTED,
            ),
        ),
    )


def _login(inputs: PipelineInputs, hosts: list[str], logins: dict[str, Any]) -> tuple[str, ...]:
    helpers = dict.fromkeys(hosts, "ecr-login")
    return (
        scripts.shell("network.sh"),
        scripts.function("add_logins", "logins.py"),
        scripts.shell(
            "login.sh",
            identity=str(inputs.settings.identity),
            docker_config=json.dumps({"credHelpers": helpers}),
            logins=json.dumps(logins) if logins else "",
        ),
    )


def _facts(login: Login) -> dict[str, str]:
    """A login for the scripts. It contains no secret, only the name of the variable with the password."""
    return {} if login.job_token else {"user": login.user or "", "password": login.password or ""}
