"""An update does what a preview has planned, as CI delivers it: also where values are unknown when the plan is made."""

import pytest

from sandbox.scratch import ScratchProject
from tests.deployment.test_life import enlarge_disk

pytestmark = pytest.mark.timeout(600)


def deliver(project: ScratchProject) -> str:
    """Preview with a plan, then update by it; what the update said."""
    planned = project.sandbox("preview", "--save-plan=plan.json")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    done = project.sandbox("up", "--skip-preview", "--plan=plan.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.sandbox("preview", "--expect-no-changes").returncode == 0
    return done.stdout


def test_a_new_stack_agrees_with_its_plan(scratch: ScratchProject) -> None:
    assert "+ " in deliver(scratch)


def test_new_runners_and_nodes_agree_with_their_plan(own_stack: ScratchProject) -> None:
    with own_stack.edited(enlarge_disk):
        deliver(own_stack)
