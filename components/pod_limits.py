"""The limits of a build namespace, as pure functions: what its containers may use, and how many objects it may have."""

from collections.abc import Iterable
from typing import Any

from components.runner_chart import MANAGER_RESOURCES
from stacks.quantities import Quantity
from stacks.runners import Resources, Runners

SMALLEST = {"cpu": Quantity("100m"), "memory": Quantity("128Mi"), "ephemeral_storage": Quantity("100Mi")}
"""The request of a container that has neither a request nor a limit."""

GENERATIONS = 4
"""How many managers of one runner may have jobs at a time: each change rolls it, and the old ones finish their jobs."""


def limit_range(runners: Runners) -> dict[str, Any]:
    """The specification of a LimitRange: a container without limits gets the ceilings of jobs, and none gets more.

    Without limits for all containers, the kubelet would not limit the volumes that they share.
    """
    ceilings = dict(runners.ceilings)
    fixed = (runners.helper, runners.services, MANAGER_RESOURCES)
    return {
        "limits": [
            {
                "type": "Container",
                "default": _quantities(ceilings),
                "defaultRequest": _quantities({name: min(SMALLEST[name], ceilings[name]) for name in ceilings}),
                "max": _quantities({name: max([ceilings[name], *_limits(fixed, name)]) for name in ceilings}),
            }
        ]
    }


def resource_quota(*, runners: int, concurrent: int, warm: int = 0) -> dict[str, Any]:
    """The specification of a ResourceQuota. The runners' own limits are reached first. `warm` counts pause pods.

    Sums of CPU and memory are not limited: the nodes' `max-size` and the size of a container do that.
    """
    return {
        "hard": {
            "pods": str(GENERATIONS * runners * (concurrent + warm + 1)),
            # Builds need neither: a volume would outlive its job, and both services open the cluster to outside.
            "persistentvolumeclaims": "0",
            "services.loadbalancers": "0",
            "services.nodeports": "0",
        }
    }


def _limits(containers: Iterable[Resources], name: str) -> list[Quantity]:
    limits = (getattr(resources, name).limit for resources in containers)
    return [limit for limit in limits if limit is not None]


def _quantities(amounts: dict[str, Quantity]) -> dict[str, str]:
    return {name.replace("_", "-"): str(quantity) for name, quantity in amounts.items()}
