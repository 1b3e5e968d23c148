"""The end of a deployment: delete what the program no longer has, dependents before what they depend on."""

from concurrent.futures import ThreadPoolExecutor

from sandbox.engine.deployment import PARALLEL_STEPS, Deployment
from sandbox.engine.errors import CancelledError, EngineError
from sandbox.engine.resource import ResourceState
from sandbox.engine.steps import Operation, Step, deletion_waves


def delete_leftovers(deployment: Deployment) -> None:
    """Delete every resource that was not registered, and every one that was replaced.

    Nothing is deleted if one of them is protected; a preview still shows what would be. When a deletion fails, what
    that resource depends on stays too. Raises CancelledError when the operation is interrupted.
    """
    leftovers = deployment.snapshot.unmentioned()
    protected = [state for state in leftovers if state.protect and not state.delete]
    for state in protected:
        deployment.fail(
            state,
            "the program no longer has it, but it is protected; bring it back, or deploy it without `protect` first",
        )
    if protected and not deployment.preview:
        return
    kept: set[str] = set()
    with ThreadPoolExecutor(PARALLEL_STEPS, thread_name_prefix="delete") as pool:
        for wave in deletion_waves(leftovers):
            deployment.check_running()
            free = [state for state in wave if state.urn not in kept]
            for state in wave:
                if state.urn in kept:
                    kept |= state.depends_on()
            for state, deleted in zip(free, pool.map(lambda state: _delete(deployment, state), free), strict=True):
                if not deleted:
                    kept |= state.depends_on()


def _delete(deployment: Deployment, state: ResourceState) -> bool:
    operation = Operation.DELETE_REPLACED if deployment.is_superseded(state) else Operation.DELETE
    step = Step(operation=operation, old=state)
    if state.pending_replacement or state.external:  # gone already, or never ours
        deployment.snapshot.swap(state, None)
        return True

    def work() -> None:
        if not deployment.preview:
            deployment.delete(state)
        deployment.snapshot.swap(state, None)

    try:
        deployment.check_running()
        deployment.perform(step, work, pending=("deleting", state))
    except CancelledError:
        return False
    except EngineError as error:
        deployment.fail(state, str(error))
        return False
    return True
