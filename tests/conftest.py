"""Options of the test run, and the deployed stack that tests of several folders look at."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.scratch import ScratchProject, scratch_project
from stacks.trust import Tier

if TYPE_CHECKING:
    from sandbox.builds.worker import Worker
    from tests.sandbox.builds.environments import Environment
    from tests.sandbox.builds.example_group import ExampleGroup


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--refresh-golden`, whose result is to be read in the diff before it is committed, and `--slow`."""
    parser.addoption("--refresh-golden", action="store_true", help="write the golden files anew")
    parser.addoption("--slow", action="store_true", help="also run the tests that deploy many stacks, for minutes each")


_TESTS = Path(__file__).parent
TOGETHER = (
    *("bootstrap/test_deployment.py", "bootstrap/test_recorded_rights.py", "browser", "plugin", "test_secrets.py"),
    *("kubernetes/test_scheduling.py", "kubernetes/test_warm_capacity.py"),
    *("sandbox/builds/test_builder_job.py", "sandbox/builds/test_company_network.py"),
    "sandbox/builds/test_private_ground.py",
)
"""Modules and folders whose tests share something expensive, such as a deployment of their own."""

SLOW = (
    *("bootstrap/test_recorded_rights.py", "sandbox/builds/test_company_network.py"),
    *("deployment/test_repositories.py", "deployment/test_several_stacks.py::test_stacks_of_one_account"),
    "deployment/test_key_changes.py::test_changes_do_what_the_table_says",
)
"""Tests that deploy stacks of their own for minutes. CI has 40 minutes for everything."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that share something on one worker of `pytest --dist loadgroup`: each worker would make its own."""
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        if name.startswith(SLOW) and not config.getoption("--slow"):
            item.add_marker(
                pytest.mark.skip(reason="deploys for minutes, and CI has 40: make test ARGS=--slow runs it")
            )
        for place in TOGETHER:
            if item.path.is_relative_to(_TESTS / place):
                item.add_marker(pytest.mark.xdist_group(place))


@pytest.fixture(scope="session")
def deployed() -> Iterator[ScratchProject]:
    """The shipped stack, deployed. Its tests deploy nothing, undo what they edit, and share it.

    `data_as_deployed` keeps what its sandbox has at the beginning.
    """
    with scratch_project() as project:
        done = project.sandbox("up")
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.copytree(project.data, data_as_deployed(project))
        yield project


def data_as_deployed(project: ScratchProject) -> Path:
    """The sandbox's data as they were when `deployed` had been deployed."""
    return project.data.with_name("as-deployed")


@pytest.fixture(scope="session")
def worker() -> "Worker":
    """The user of real builds."""
    from tests.sandbox.builds.environments import find_worker  # here, so that other tests do not load the sandbox

    return find_worker()


@pytest.fixture(scope="session")
def example(worker: "Worker") -> Iterator[tuple["ExampleGroup", Path]]:
    """The example groups. Two folders share them, since moto's state is global."""
    from tests.sandbox.builds.environments import temporary_example

    with temporary_example() as made:
        yield made


@pytest.fixture(scope="session")
def environment(example: tuple["ExampleGroup", Path], worker: "Worker") -> Iterator["Environment"]:
    """An environment for real builds."""
    from tests.sandbox.builds.environments import open_environment

    with open_environment(example, worker) as opened:
        yield opened


@pytest.fixture(scope="session")
def nodes(example: tuple["ExampleGroup", Path], worker: "Worker") -> Iterator["Environment"]:
    """An environment for real builds, on nodes with a disk for BuildKit's state: a real one if root runs the tests."""
    from tests.node_disks import mounted_disk, obstacle
    from tests.sandbox.builds.environments import KEEPING, node_disk, open_environment

    with open_environment(example, worker, "kept", pods=KEEPING) as opened, ExitStack() as disks:
        for tier in () if obstacle() else Tier:
            image = opened.directory / f"{tier}.disk"
            disks.enter_context(mounted_disk(image, node_disk(opened, tier), uid=worker.uid, gid=worker.gid))
        yield opened
