"""Checks of requests, limits and ceilings: of the runners' jobs, and of images."""

from collections.abc import Iterator

from stacks.problems import Problem
from stacks.projects import Image
from stacks.quantities import Quantity
from stacks.runners import Bounds, Resources
from stacks.settings import Settings

RESOURCES = {"cpu": "CPU", "memory": "memory", "ephemeral_storage": "ephemeral storage"}
"""The fields of `Resources` and `Ceilings`, each with its name for messages."""

_RUNNERS = "buildyard:runners"


def of_runners(settings: Settings) -> Iterator[Problem]:
    """Every problem of the defaults, ceilings, helper and services."""
    runners = settings.runners
    for field, resource in RESOURCES.items():
        ceiling: Quantity = getattr(runners.ceilings, field)
        for name, resources in (("helper", runners.helper), ("services", runners.services)):
            yield from _bounds(f"{_RUNNERS}.{name}", resources, Resources(), field)
            bounds: Bounds = getattr(resources, field)
            if bounds.request and not bounds.limit and bounds.request > ceiling:
                yield Problem(
                    path=f"{_RUNNERS}.{name}.{_key(field)}.request",
                    message=f"{bounds.request} of {resource} is above the ceiling of {ceiling}, its default limit",
                    hint=f"Set {_RUNNERS}.{name}.{_key(field)}.limit, or lower the request.",
                )
        yield from _bounds(f"{_RUNNERS}.defaults", runners.defaults, Resources(), field)
        for bound, quantity in _given(getattr(runners.defaults, field)):
            if quantity > ceiling:
                yield Problem(
                    path=f"{_RUNNERS}.ceilings.{_key(field)}",
                    message=f"{ceiling} is below the default {bound} of {resource}, {quantity}",
                    hint=f"Raise it to at least {quantity}, or lower {_RUNNERS}.defaults.{_key(field)}.{bound}.",
                )


def of_image(settings: Settings, path: str, image: Image) -> Iterator[Problem]:
    """Every problem of an image's resources."""
    for field, resource in RESOURCES.items():
        yield from _bounds(f"{path}.resources", image.resources, settings.runners.defaults, field)
        ceiling: Quantity = getattr(settings.runners.ceilings, field)
        for bound, quantity in _given(getattr(image.resources, field)):
            if quantity > ceiling:
                yield Problem(
                    path=f"{path}.resources.{_key(field)}.{bound}",
                    message=f"{quantity} of {resource} is above the ceiling of {ceiling}",
                    hint=f"Lower it to at most {ceiling}, or raise {_RUNNERS}.ceilings.{_key(field)}.",
                )


def _bounds(path: str, resources: Resources, defaults: Resources, field: str) -> Iterator[Problem]:
    """Find a request above its limit: Kubernetes would refuse the pod. One of the two may be a default."""
    own: Bounds = getattr(resources, field)
    effective = own.over(getattr(defaults, field))
    if own == Bounds() or not (effective.request and effective.limit and effective.request > effective.limit):
        return
    inherited = "" if own.request and own.limit else f", and one of them is from {_RUNNERS}.defaults"
    bound, hint = (
        ("request", f"Lower it to at most {effective.limit}, or raise the limit.")
        if own.request
        else ("limit", f"Raise it to at least {effective.request}, or lower the request.")
    )
    yield Problem(
        path=f"{path}.{_key(field)}.{bound}",
        message=f"the request of {effective.request} is above the limit of {effective.limit}{inherited}",
        hint=hint,
    )


def _given(bounds: Bounds) -> Iterator[tuple[str, Quantity]]:
    return ((bound, quantity) for bound, quantity in bounds if quantity is not None)


def _key(field: str) -> str:
    return field.replace("_", "-")
