"""The limits of a build namespace."""

from typing import Any

from components.pod_limits import limit_range, resource_quota
from stacks.runners import Runners


def limits(**runners: Any) -> dict[str, dict[str, str]]:
    [limit] = limit_range(Runners.model_validate(runners))["limits"]
    assert limit.pop("type") == "Container"
    return dict(limit)


def test_a_container_gets_at_most_what_a_job_may_ask_for() -> None:
    ceilings = {"cpu": "12", "memory": "48Gi", "ephemeral-storage": "100Gi"}
    assert limits(ceilings=ceilings)["max"] == ceilings
    assert limits(ceilings=ceilings)["default"] == ceilings


def test_a_helper_or_a_service_may_be_larger_than_jobs() -> None:
    larger = limits(helper={"memory": {"limit": "20Gi"}}, services={"cpu": {"limit": "10"}})
    assert larger["max"] == {"cpu": "10", "memory": "20Gi", "ephemeral-storage": "50Gi"}, "no pod would be admitted"
    assert larger["default"]["memory"] == "15Gi"


def test_a_container_that_asks_for_nothing_reserves_little() -> None:
    small = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "100Mi"}
    assert limits()["defaultRequest"] == small
    tiny = {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "10Mi"}
    assert limits(ceilings=tiny)["defaultRequest"] == tiny, "Kubernetes refuses a request above the limit"


def test_the_quota_leaves_room_for_managers_that_finish_their_jobs() -> None:
    hard = resource_quota(runners=2, concurrent=20)["hard"]
    assert int(hard["pods"]) == 4 * 2 * (20 + 1), "jobs would wait after an upgrade"


def test_a_build_namespace_is_not_reached_from_outside_and_keeps_nothing() -> None:
    hard = resource_quota(runners=1, concurrent=1)["hard"]
    assert {name: hard[name] for name in hard if name != "pods"} == {
        "persistentvolumeclaims": "0",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
