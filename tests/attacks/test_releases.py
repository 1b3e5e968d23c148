"""Attacks on releases: other content under their names, or no images at all.

With `trust: isolated` each attack fails. With `shared` it succeeds: that is what a shared tier gives up.
"""

import pytest

from sandbox.builds.events import Event, Trigger
from sandbox.builds.run import Result
from stacks.trust import Trust
from tests.attacks.attacker import DENIED, DOCTOR, Attacker, words
from tests.attacks.conftest import prepare
from tests.sandbox.builds.environments import FILES, Environment
from tests.sandbox.builds.example_group import BRANCH, HOST

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
    assert isolated.environment.file(isolated.project, "v1.0.0", "installed") == "one\n"


def test_shared_a_doctored_cache_reaches_a_release(shared: Attacker) -> None:
    attack = shared.run(doctor(shared, shared.repository))
    assert attack.passed, words(attack)
    assert shared.release("v1.0.0").passed
    assert shared.environment.file(shared.project, "v1.0.0", "installed") == "owned\n"


def move(attacker: Attacker, tag: str, *options: str) -> str:
    """Put an altered image under a tag."""
    return f"crane mutate {' '.join(options)} --label evil=yes {attacker.image}:latest -t {attacker.image}:{tag}\n"


def test_latest_cannot_be_moved(isolated: Attacker) -> None:
    before = isolated.digest()
    attack = isolated.run(move(isolated, "latest"))
    assert not attack.passed
    assert DENIED in words(attack)
    assert isolated.digest() == before


def test_shared_latest_can_be_moved(shared: Attacker) -> None:
    before = shared.digest()
    attack = shared.run(move(shared, "latest"))
    assert attack.passed, words(attack)
    assert shared.digest() != before


BASED = [
    {"name": "base", "context": "base", "architectures": ["amd64"]},
    {"name": "app", "context": "app", "architectures": ["amd64"], "depends-on": ["base"]},
]
BASED_FILES = {
    "base/Dockerfile": "FROM busybox:1.37\nRUN echo clean >/base\n",
    "app/Dockerfile": "FROM base\nCOPY source /source\n",
    "app/source": "print 1\n",
}


def replaced_base(attacker: Attacker) -> Result:
    """The result of a branch that puts another file into the published base."""
    base = attacker.image.replace("/app", "/base")
    script = "mkdir evil\necho owned >evil/base\ntar -C evil -cf layer.tar base\n"
    return attacker.run(f"{script}crane append --base {base}:latest --new_layer layer.tar --new_tag {base}:latest\n")


def next_push(attacker: Attacker) -> Result:
    """The owner's next push, which changes only the dependent image. So its base is not built."""
    attacker.project.commit({"app/source": "print 2\n"})
    result = attacker.environment.build(attacker.project, Event(trigger=Trigger.PUSH, ref=BRANCH))
    assert result.passed, words(result)
    assert "build-base:amd64" not in [job.name for job in result.jobs], "this shows nothing about the published base"
    return result


def test_a_moved_base_does_not_reach_its_dependent_images(environment: Environment) -> None:
    attacker = prepare(environment, Trust.ISOLATED, BASED, BASED_FILES)
    attack = replaced_base(attacker)
    assert not attack.passed
    assert DENIED in words(attack)
    next_push(attacker)
    assert attacker.environment.file(attacker.project, "latest", "base") == "clean\n"


def test_shared_a_moved_base_reaches_its_dependent_images(environment: Environment) -> None:
    attacker = prepare(environment, Trust.SHARED, BASED, BASED_FILES)
    attack = replaced_base(attacker)
    assert attack.passed, words(attack)
    next_push(attacker)
    assert attacker.environment.file(attacker.project, "latest", "base") == "owned\n"


def number(attacker: Attacker, pipeline: str) -> str:
    """The label by which two pipelines of the project are ordered."""
    project = attacker.environment.group.api.projects.get(attacker.project.path).id
    return f"--label=buildyard.pipeline={project}/{pipeline}"


def test_latest_cannot_be_pinned_by_a_label(isolated: Attacker) -> None:
    attack = isolated.run(move(isolated, "latest", number(isolated, "9" * 18)))
    assert not attack.passed
    assert DENIED in words(attack)
    before = isolated.digest()
    isolated.project.commit({"app/source": "print 2\n"})
    assert isolated.environment.build(isolated.project).passed
    assert isolated.digest() != before


def test_shared_a_label_can_pin_latest_but_not_with_every_job_green(shared: Attacker) -> None:
    attack = shared.run(move(shared, "latest", number(shared, "9" * 18)))
    assert attack.passed, words(attack)
    shared.project.commit({"app/source": "print 2\n"})
    push = shared.environment.build(shared.project, Event(trigger=Trigger.PUSH, ref=BRANCH))
    assert not push.passed, "nobody would know that latest does not move any more"
    assert "somebody else wrote this tag" in words(push)


@pytest.mark.parametrize("pipeline", ["soon", "9" * 19, "-1", ""])
def test_shared_an_unreadable_label_does_not_pin_latest(shared: Attacker, pipeline: str) -> None:
    later = "--label=org.opencontainers.image.created=2999-01-01T00:00:00Z"
    attack = shared.run(move(shared, "latest", number(shared, pipeline), later))
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


PROGRAM = {**FILES, "app/Dockerfile": f"{FILES['app/Dockerfile']}RUN cat /installed /source >/program\n"}

SPOIL = """\
cd "$BUILDYARD_STATE"
rootlesskit sh -c 'for each in */state/*/snapshots/snapshots/*/fs/installed; do echo owned >"$each"; done'
"""


def rebuild(attacker: Attacker) -> str | None:
    """Let the project's owner change the source. Returns what the last step made of it and of what is installed."""
    attacker.project.commit({"app/source": "print 2\n"})
    built = attacker.environment.build(attacker.project)
    assert built.passed, words(built)
    return attacker.environment.file(attacker.project, "latest", "program")


def test_a_spoiled_state_on_a_node_does_not_reach_latest(nodes: Environment) -> None:
    attacker = prepare(nodes, Trust.ISOLATED, files=PROGRAM)
    attacker.push({"app/source": "print evil\n"})
    assert nodes.build(attacker.project, attacker.merge_request()).passed  # so that there is a state to spoil
    attack = attacker.run(SPOIL)
    assert attack.passed, f"the attack itself does not work, so it shows nothing: {words(attack)}"
    assert rebuild(attacker) == "one\nprint 2\n"


def test_shared_a_spoiled_state_on_a_node_reaches_latest(nodes: Environment) -> None:
    attacker = prepare(nodes, Trust.SHARED, files=PROGRAM)
    attack = attacker.run(SPOIL)
    assert attack.passed, words(attack)
    assert rebuild(attacker) == "owned\nprint 2\n"
