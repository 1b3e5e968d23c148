"""The sandbox's tools have the builder image's versions."""

import platform
import re
from pathlib import Path

import pytest

from sandbox.builds import tools
from sandbox.builds.worker import Worker
from stacks.architecture import Architecture
from stacks.versions import BUILDKIT_VERSION

DOCKERFILE = (Path(__file__).parents[3] / "images" / "builder" / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("module", "argument"),
    [
        ("github.com/google/go-containerregistry", "CRANE_VERSION"),
        ("github.com/awslabs/amazon-ecr-credential-helper/ecr-login", "ECR_LOGIN_VERSION"),
        ("github.com/moby/buildkit", "BUILDKIT_VERSION"),
    ],
)
def test_tools_are_of_the_builder_images_versions(module: str, argument: str) -> None:
    here = re.search(rf"^\t{re.escape(module)} v(\S+)", (tools.SOURCES / "go.mod").read_text(), re.MULTILINE)
    there = re.search(rf"^ARG {argument}=(\S+)", DOCKERFILE, re.MULTILINE)
    assert here
    assert there
    assert here[1] == there[1], f"builds here would prove nothing about production's {module}"


def test_buildkit_is_the_one_that_the_stack_names() -> None:
    assert f"github.com/moby/buildkit v{BUILDKIT_VERSION} " in (tools.SOURCES / "go.mod").read_text()


def test_every_architecture_but_this_machines_is_emulated() -> None:
    worker = Worker(name="somebody", uid=1, gid=1)
    assert worker.environment["EMULATED_PROCESSORS"].split() == [each.qemu for each in Architecture], (
        "emulated-node.sh would leave images of an architecture without a processor"
    )


def test_this_machines_processor_is_known() -> None:
    assert tools.machine().machine == platform.machine()
