"""Warm capacity: what the runners' configuration and the node groups say, and the settings that are refused."""

import sys
from typing import Any

import pytest

from components.runner_chart import PAUSE_RULES
from sandbox.providers.kubernetes.runner_chart import problems_in_config, rendered_config
from stacks.architecture import Architecture
from stacks.sizing import check_fit
from stacks.versions import BUILDER_VERSION
from stacks.warm import Hours
from tests.components import mocks
from tests.components.answers import REGISTRY
from tests.components.mocks import NAME, Declared, declare
from tests.stacks.stack_settings import problems, settings
from tests.stacks.test_sizing import INSTANCE_TYPES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALWAYS = {"when": "always", "jobs": 2}


def autoscaler(declared: Declared, manager: str = f"{NAME}-arm64") -> Any:
    """The pause pods of a manager; None if it keeps none."""
    text = declared.of("helm.sh:Release")[manager].plain()["values"]["runners"]["config"]
    assert not list(problems_in_config(text)), "the runner would ignore a key"
    [runner] = tomllib.loads(rendered_config(text))["runners"]
    return runner["kubernetes"].get("autoscaler")


def test_by_default_nothing_is_kept() -> None:
    declared = declare()
    assert autoscaler(declared) is None
    assert not declared.of("scheduling.k8s.io:PriorityClass")
    for release in declared.of("helm.sh:Release").values():
        assert PAUSE_RULES[0] not in release.plain()["values"]["rbac"]["rules"], "rights that nothing needs"


def test_pause_pods_run_the_builder_image_so_that_nodes_have_it() -> None:
    declared = declare(runners={"warm": ALWAYS})
    assert autoscaler(declared) == {
        "max_pause_pods": 2,
        "pause_pod_image": f"{REGISTRY}/buildyard/builder:{BUILDER_VERSION}",
        "pause_pod_priority_class_name": f"{NAME}-pause",
        "policy": [{"idle_count": 2}],
    }
    for release in declared.of("helm.sh:Release").values():
        assert PAUSE_RULES[0] in release.plain()["values"]["rbac"]["rules"], "its manager could not start a pause pod"
    [priority] = declared.of("scheduling.k8s.io:PriorityClass").values()
    assert priority.inputs["metadata"]["name"] == f"{NAME}-pause"
    assert -10 < priority.inputs["value"] < 0, "a job could not take the place, or no node would start for it"


def test_another_image_can_hold_the_place() -> None:
    declared = declare(runners={"builder-image": "builders/own:1", "warm": {**ALWAYS, "pause-image": "pause:3.10"}})
    assert autoscaler(declared)["pause_pod_image"] == "pause:3.10"


def test_working_hours_are_those_of_a_time_zone() -> None:
    hours = {"days": "mon-thu,sat", "since": 7, "until": 19, "time-zone": "Asia/Hong_Kong"}
    [policy] = autoscaler(declare(runners={"warm": {"when": "hours", "hours": hours}}))["policy"]
    assert policy == {"idle_count": 1, "periods": ["* 7-18 * * mon-thu,sat"], "timezone": "Asia/Hong_Kong"}
    assert Hours().period == "* 8-17 * * mon-fri", "18:00 is not a working hour any more"


def test_a_tier_can_stay_cold() -> None:
    declared = declare(trust="isolated", runners={"warm": {**ALWAYS, "tiers": ["unprotected"]}})
    assert autoscaler(declared, f"{NAME}-unprotected-arm64")
    assert autoscaler(declared) is None


def test_off_is_off_also_where_yaml_reads_a_boolean() -> None:
    assert autoscaler(declare(runners={"warm": {"when": False}})) is None


@pytest.mark.parametrize(
    ("nodes", "pool"),
    [
        ({"capacity": "on-demand"}, {"minSize": 2, "maxGroupPreparedCapacity": 2, "poolState": "STOPPED"}),
        (
            {"capacity": "on-demand", "max-size": 1},
            {"minSize": 1, "maxGroupPreparedCapacity": 1, "poolState": "STOPPED"},
        ),
        ({"capacity": "spot"}, None),
    ],
)
def test_on_demand_nodes_are_prepared_and_stopped(nodes: dict[str, Any], pool: Any) -> None:
    declared = declare(nodes={"arm64": {"instance-types": ["m7g.4xlarge"], **nodes}}, runners={"warm": ALWAYS})
    assert declared.only("eks:NodeGroup").inputs.get("warmPoolConfig") == pool
    cold = declare(nodes={"arm64": {"instance-types": ["m7g.4xlarge"], **nodes}})
    assert "warmPoolConfig" not in cold.only("eks:NodeGroup").inputs


def test_the_namespace_has_room_for_pause_pods() -> None:
    def pods(**runners: Any) -> int:
        [quota] = declare(runners=runners).of("core:ResourceQuota").values()
        return int(quota.inputs["spec"]["hard"]["pods"])

    assert pods(warm={"when": "always", "jobs": 30}) - pods() == 4 * len(Architecture) * 30


def test_settings_that_cannot_work_are_refused_by_key() -> None:
    warm = {"when": "hours", "hours": {"since": 18, "until": 8}, "tiers": ["unprotected"]}
    found = problems(runners={"warm": warm, "defaults": {"cpu": {"limit": "2"}, "memory": {"request": "4Gi"}}})
    assert sorted(found) == [
        "buildyard:runners.defaults.cpu.request",
        "buildyard:runners.warm.hours.until",
        "buildyard:runners.warm.tiers",
    ]
    wrong = problems(
        runners={"warm": {"when": "sometimes", "jobs": 0, "hours": {"days": "monday", "time-zone": "Mars"}}}
    )
    assert sorted(wrong) == [
        "buildyard:runners.warm.hours.days",
        "buildyard:runners.warm.hours.time-zone",
        "buildyard:runners.warm.jobs",
        "buildyard:runners.warm.when",
    ]


def test_more_warm_jobs_than_the_nodes_can_hold_are_refused() -> None:
    nodes = {"arm64": {"instance-types": ["m7g.4xlarge"], "max-size": 2}}
    seven = "15.69 cores have room for seven jobs of 2.1"
    fit = settings(nodes=nodes, runners={"warm": {"when": "always", "jobs": 14}})
    assert not list(check_fit(fit, INSTANCE_TYPES)), seven
    [problem] = check_fit(settings(nodes=nodes, runners={"warm": {"when": "always", "jobs": 15}}), INSTANCE_TYPES)
    assert problem.path == "buildyard:runners.warm.jobs"
    assert problem.message == "15 jobs need 3 arm64 nodes, and max-size is 2"
    off = settings(nodes=nodes, runners={"warm": {"when": False, "jobs": 15}})
    assert not list(check_fit(off, INSTANCE_TYPES)), "nobody could turn it off and keep the number"


@pytest.mark.parametrize(
    ("token", "is_told"),
    [("glrt-t2_abcdef", False), ("glrt-t2_abcde-", True), ("glrt--abcdefghi", True), ("glrt-abcdefgh_z", True)],
)
def test_a_runner_whose_token_is_no_label_is_told(token: str, is_told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.warn", said.append)
    monkeypatch.setattr(mocks, "TOKEN", token)
    declare(runners={"warm": ALWAYS})
    told = [text for text in said if "keeps no warm capacity" in text]
    assert bool(told) == is_told
    assert not any(token in text for text in said), "the log would have the token"
    said.clear()
    declare()
    assert not said, "without warm capacity there are no such pods"


def test_only_where_pause_pods_are_do_they_have_a_network_policy() -> None:
    assert f"{NAME}-pause" in declare(runners={"warm": ALWAYS}).of("networking.k8s.io:NetworkPolicy")
    assert f"{NAME}-pause" not in declare().of("networking.k8s.io:NetworkPolicy")
