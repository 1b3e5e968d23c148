"""Attacks by names, for a shell, a path, or a message of their own in the job of a release."""

import pytest

from sandbox.builds.events import Event, Trigger
from stacks.problems import SettingsError
from tests.attacks.attacker import Attacker, words
from tests.stacks.stack_settings import project, settings

REFS = ["""a";>owned1;'>owned2;'b""", "a`>owned3`b", "a$(>owned4)b", "a|tee<owned5&b", "-v", "a/--help"]


@pytest.mark.builds
@pytest.mark.parametrize("kind", ["isolated", "shared"])
def test_a_hostile_branch_name_and_title_are_only_text(request: pytest.FixtureRequest, kind: str) -> None:
    attacker: Attacker = request.getfixturevalue(kind)
    for ref in REFS[:4]:
        attacker.push({"app/source": f"{len(ref)}\n"}, branch=ref)
        event = Event(trigger=Trigger.PUSH, ref=ref)
        checkout = attacker.environment.check_out(attacker.project, event)
        checkout.variables["CI_COMMIT_TITLE"] = f"Title {ref}"
        result = attacker.environment.run(checkout, ["build-app:amd64"])
        assert result.passed, f"{ref}: {words(result)}"
        assert not list(checkout.directory.rglob("owned*")), f"the ref {ref} ran as a command"


@pytest.mark.builds
def test_a_hostile_git_tag_publishes_nothing(isolated: Attacker) -> None:
    before = isolated.environment.tags(isolated.project)
    for tag in ("v1;>owned", "v1$(>owned)", "v/x"):
        result = isolated.release(tag)
        assert not result.passed
        assert "cannot be an image's tag" in words(result)
    assert isolated.environment.tags(isolated.project) == before


@pytest.mark.parametrize(
    "name", ["web;id", "web $(id)", "../web", "web\n", "Web", "-web", "web/review", "web:latest", "w" * 101, ""]
)
def test_a_hostile_image_name_is_refused_by_its_key(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(projects=[project({"name": name, "context": "web"})])
    assert any(problem.path == "buildyard:projects[0].images[0].name" for problem in caught.value.problems)
