"""CPU, memory and storage of a job, as the variables that overwrite the runner's defaults."""

from stacks.runners import Resources, Runners

_BRIEF = Resources.model_validate(
    {
        "cpu": {"request": "100m", "limit": "1"},
        "memory": {"request": "128Mi", "limit": "512Mi"},
        "ephemeral-storage": {"request": "1Gi"},
    }
)
"""For jobs that only call the registry, so that they fit on a node that is busy with builds."""


def overwrites(wanted: Resources, defaults: Resources) -> dict[str, str]:
    """The variables for the resources that differ from the defaults.

    Source: https://docs.gitlab.com/runner/executors/kubernetes/#overwrite-container-resources
    """
    return {
        f"KUBERNETES_{resource}_{bound}".upper(): str(quantity)
        for resource, bounds in wanted
        for bound, quantity in bounds
        if quantity is not None and quantity != getattr(getattr(defaults, resource), bound)
    }


def brief(runners: Runners) -> dict[str, str]:
    """The variables for a job that does not build, within the ceilings: the runner fails a job that requests more."""
    capped = {
        resource.replace("_", "-"): {
            bound: min(quantity, getattr(runners.ceilings, resource))
            for bound, quantity in bounds
            if quantity is not None
        }
        for resource, bounds in _BRIEF
    }
    return overwrites(Resources.model_validate(capped), runners.defaults)
