"""A released project of each kind, and an attacker who may push branches to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from stacks.trust import Trust
from tests.attacks.attacker import Attacker, words
from tests.sandbox.builds.environments import Environment


def prepare(
    environment: Environment,
    trust: Trust,
    images: Sequence[Mapping[str, Any]] | None = None,
    files: Mapping[str, str] | None = None,
) -> Attacker:
    """A project whose default branch has been built once; by default with the one image `app`."""
    attacker = Attacker(environment=environment, project=environment.project(images, files, trust), trust=trust)
    built = environment.build(attacker.project)
    assert built.passed, words(built)
    return attacker


@pytest.fixture
def isolated(environment: Environment) -> Attacker:
    return prepare(environment, Trust.ISOLATED)


@pytest.fixture
def shared(environment: Environment) -> Attacker:
    return prepare(environment, Trust.SHARED)
