"""Which command lines of the CLI reach the sandbox's stack, and which are refused."""

import pytest

from sandbox.engine.arguments import refuse_other_stacks, runs_the_program
from sandbox.engine.errors import EngineError


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--stack", "prod"],
        ["up", "--stack=prod"],
        ["up", "-s", "prod"],
        ["up", "-sprod"],
        ["up", "--diff", "-s=prod"],
        ["stack", "export", "--stack", "organization/buildyard/dev"],
    ],
)
def test_another_stack_is_refused_with_what_to_use_instead(arguments: list[str]) -> None:
    with pytest.raises(EngineError, match=r"`pulumi (up|stack) --stack (prod|organization/buildyard/dev)`"):
        refuse_other_stacks(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "-C", "elsewhere"], "-C would lead"),
        (["up", "-Celsewhere"], "-C would lead"),
        (["preview", "--cwd=elsewhere"], "--cwd would lead"),
        (["preview", "--config-file", "other.yaml"], "--config-file would lead"),
        (["config", "set", "buildyard:cluster.name", "x"], r"edit that file"),
        (["config", "rm", "buildyard:tags"], r"edit that file"),
        (["stack", "init", "dev"], "alone"),
        (["stack", "select", "dev"], "alone"),
        (["new", "python"], "alone"),
    ],
)
def test_what_leads_out_of_the_sandbox_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        refuse_other_stacks(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["up"],
        ["up", "--stack", "sandbox", "--diff"],
        ["up", "-s", "organization/buildyard/sandbox"],
        ["up", "--target", "urn:pulumi:sandbox::buildyard::aws:ecr/repository:Repository::stack-init"],
        ["config", "--show-secrets"],
        ["config", "get", "buildyard:cluster"],
        ["stack", "export"],
        ["stack", "output", "registry-host"],
    ],
)
def test_everything_else_may_run(arguments: list[str]) -> None:
    refuse_other_stacks(arguments)


def test_the_program_runs_for_the_commands_that_need_it() -> None:
    assert runs_the_program(["preview", "--json"])
    assert runs_the_program(["--logtostderr", "up"])
    assert not runs_the_program(["stack", "export"])
