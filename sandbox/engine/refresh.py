"""Refresh: ask the cloud what every resource is like now, and take that as the old state."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sandbox.engine import urn as urns
from sandbox.engine.deployment import PARALLEL_STEPS, Deployment, Observer
from sandbox.engine.errors import CancelledError, EngineError
from sandbox.engine.resource import ResourceState, now
from sandbox.engine.steps import Operation, Step
from sandbox.values import PropertyValue, reveal


def refresh(deployment: Deployment, observer: Observer) -> None:
    """Read all resources before the program runs. What is gone from the cloud leaves the state.

    The observer hears a step for each, which ends with the same state, with what drifted, or with None.
    """
    states = [
        state for state in deployment.snapshot.unmentioned() if not state.delete and not state.pending_replacement
    ]

    def read(state: ResourceState) -> str | None:
        try:
            return _refresh(deployment, observer, state)
        except CancelledError:
            return None
        except EngineError as error:
            deployment.fail(state, f"reading it: {error}")
            return None

    with ThreadPoolExecutor(PARALLEL_STEPS, thread_name_prefix="refresh") as pool:
        gone = {urn for urn in pool.map(read, states) if urn}
    deployment.check_running()
    if gone:
        _forget(deployment, gone)
    deployment.snapshot.commit()


def _refresh(deployment: Deployment, observer: Observer, old: ResourceState) -> str | None:
    """Refresh one resource; its URN if it is gone."""
    deployment.check_running()
    step = Step(operation=Operation.REFRESH, old=old, new=old)
    observer.begins(step)
    if not old.custom:
        observer.ends(step, old)
        return None
    found = deployment.providers.of(old).read(old)
    if found is None:
        deployment.snapshot.swap(old, None)
        observer.ends(step, None)
        return old.urn
    new = replace(
        old,
        id=found.id,
        inputs=found.inputs or old.inputs,
        outputs=found.outputs,
        init_errors=found.init_errors,
    )
    if new.init_errors:
        observer.says(
            "warning", f"{urns.describe(old.urn)} is not as it should be: {'; '.join(new.init_errors)}", old.urn
        )
    if _facts(new) == _facts(old):
        new = old
    else:
        new = replace(new, modified=now())
        deployment.snapshot.swap(old, new)
    observer.ends(step, new)
    return None


def _facts(state: ResourceState) -> PropertyValue:
    return reveal([state.id, state.inputs, state.outputs, list(state.init_errors)])


def _forget(deployment: Deployment, gone: set[str]) -> None:
    """A state must not depend on what it does not hold: take the resources that are gone out of all dependencies."""
    for state in deployment.snapshot.unmentioned():
        if state.depends_on() & gone:
            dependencies = tuple(urn for urn in state.dependencies if urn not in gone)
            by_property = {
                key: tuple(urn for urn in urns_ if urn not in gone)
                for key, urns_ in state.property_dependencies.items()
            }
            deployment.snapshot.swap(
                state, replace(state, dependencies=dependencies, property_dependencies=by_property)
            )
