"""Attacks on releases: other content under their names, or no images at all.

With `trust: isolated` each attack fails. With `shared` it succeeds: that is what a shared tier gives up.
"""

import pytest

from sandbox.builds.events import Event, Trigger
from tests.attacks.attacker import DENIED, DOCTOR, Attacker, words
from tests.sandbox.builds.environments import FILES
from tests.sandbox.builds.example_group import HOST

pytestmark = pytest.mark.builds


def doctor(attacker: Attacker, target: str) -> str:
    arguments = f"{HOST} {attacker.repository} {target} {attacker.cache()}"
    return f"python3 - {arguments} <<'PYTHON'\n{DOCTOR}\nPYTHON\n"


def test_a_doctored_cache_does_not_reach_a_release(isolated: Attacker) -> None:
    attack = isolated.run(doctor(isolated, isolated.repository))
    assert not attack.passed
    assert DENIED in words(attack)
    own = isolated.run(doctor(isolated, f"{isolated.repository}/review"))
    assert own.passed, f"the attack itself does not work, so it shows nothing: {words(own)}"
    assert isolated.release("v1.0.0").passed
    assert isolated.file("v1.0.0", "installed") == "one\n"


def test_shared_a_doctored_cache_reaches_a_release(shared: Attacker) -> None:
    attack = shared.run(doctor(shared, shared.repository))
    assert attack.passed, words(attack)
    assert shared.release("v1.0.0").passed
    assert shared.file("v1.0.0", "installed") == "owned\n"


def move(attacker: Attacker, tag: str, *options: str) -> str:
    """Put an altered image under a tag."""
    return f"crane mutate {' '.join(options)} --label evil=yes {attacker.image}:latest -t {attacker.image}:{tag}\n"


def test_latest_and_so_the_base_of_other_images_cannot_be_moved(isolated: Attacker) -> None:
    before = isolated.digest()
    attack = isolated.run(move(isolated, "latest"))
    assert not attack.passed
    assert DENIED in words(attack)
    assert isolated.digest() == before


def test_shared_latest_and_so_the_base_of_other_images_can_be_moved(shared: Attacker) -> None:
    before = shared.digest()
    attack = shared.run(move(shared, "latest"))
    assert attack.passed, words(attack)
    assert shared.digest() != before


NEWEST = "--label=buildyard.pipeline={project}/999999999999999999"
"""The number of a pipeline that there will never be."""


def test_latest_cannot_be_pinned_by_a_label(isolated: Attacker) -> None:
    attack = isolated.run(move(isolated, "latest", NEWEST))
    assert not attack.passed
    assert DENIED in words(attack)


def test_shared_a_label_can_pin_latest_but_not_with_every_job_green(shared: Attacker) -> None:
    label = NEWEST.format(project=shared.project_id)
    attack = shared.run(move(shared, "latest", label))
    assert attack.passed, words(attack)
    shared.project.commit({"app/source": "print 2\n"})
    push = shared.environment.build(shared.project, Event(trigger=Trigger.PUSH, ref="master"))
    assert not push.passed, "nobody would know that latest does not move any more"
    assert "somebody else wrote this tag" in words(push)


@pytest.mark.parametrize("pipeline", ["999999999999999999", "0/999999999999999999", "soon"])
def test_shared_a_wrong_label_does_not_pin_latest(shared: Attacker, pipeline: str) -> None:
    attack = shared.run(move(shared, "latest", f"--label=buildyard.pipeline={pipeline}"))
    assert attack.passed, words(attack)
    pinned = shared.digest()
    shared.project.commit({"app/source": "print 2\n"})
    repaired = shared.environment.build(shared.project)
    assert repaired.passed, words(repaired)
    assert shared.digest() != pinned, "nobody could publish latest any more, with every job green"
    assert "counts as older" in words(repaired)


def test_a_release_tag_cannot_be_pushed_before_its_release(isolated: Attacker) -> None:
    attack = isolated.run(move(isolated, "v2.0.0"))
    assert not attack.passed
    assert DENIED in words(attack)
    assert isolated.release("v2.0.0").passed


def test_shared_a_release_tag_can_be_pushed_before_its_release(shared: Attacker) -> None:
    attack = shared.run(move(shared, "v2.0.0"))
    assert attack.passed, words(attack)
    first = shared.digest("v2.0.0")
    assert not shared.release("v2.0.0").passed, "a tag is immutable for its owner, too"
    assert shared.digest("v2.0.0") == first


@pytest.mark.parametrize("kind", ["isolated", "shared"])
def test_no_job_can_delete_an_image(request: pytest.FixtureRequest, kind: str) -> None:
    attacker: Attacker = request.getfixturevalue(kind)
    for name in (f"{attacker.image}:latest", f"{attacker.image}@{attacker.digest()}"):
        attack = attacker.run(f"crane delete {name}\n")
        assert not attack.passed
        assert f"{DENIED}BatchDeleteImage" in words(attack)
    assert attacker.digest()


def test_a_merge_requests_base_is_built_from_its_own_branch_and_not_released(isolated: Attacker) -> None:
    """The honest use of the same rights: a branch builds, and what it builds is in the review repository alone."""
    before = isolated.environment.tags(isolated.project)
    isolated.push({"app/source": FILES["app/source"] + "print 2\n"})
    result = isolated.environment.build(isolated.project, isolated.merge_request())
    assert result.passed, words(result)
    [image] = result.images
    assert image.report["IMAGE_URL"] == isolated.review
    assert isolated.environment.tags(isolated.project) == before
