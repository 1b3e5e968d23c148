"""Tests of what a reviewer reads about the images of repositories."""

from typing import Any

import pytest

from delivery.preview import Operation
from delivery.repositories import losses
from delivery.resource_types import REPOSITORY
from tests.delivery.previews import Step, preview, step


def repository(name: str, image: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "tags": {"buildyard:image": image, **more}}


def leaves(name: str, image: str = "", *, retained: bool = True, forced: bool = False, **more: Any) -> Step:
    made = step("delete", REPOSITORY, name, old=repository(name, image, **more), outputs={"forceDelete": forced})
    made["oldState"]["retainOnDelete"] = retained
    return made


def comes(name: str, image: str) -> Step:
    return step("create", REPOSITORY, name, new=repository(name, image))


def said(*steps: Step) -> str:
    [sentence] = losses(preview(*steps).changes, lambda _: "")
    return sentence


def test_images_stay_if_the_state_says_so() -> None:
    assert "leaves the stack. It stays as it is, with its images" in said(leaves("p/web", "p/web"))
    assert "**All images in it are lost**" in said(leaves("p/web", "p/web", retained=False, forced=True))
    assert "the update fails if it holds images" in said(leaves("p/web", "p/web", retained=False))


def test_the_repository_of_merge_requests_is_deleted_without_much_ado() -> None:
    review = leaves("p/web/review", "p/web", retained=False, forced=True, **{"buildyard:tier": "unprotected"})
    assert said(review).endswith("is deleted, with the images and caches of merge requests.")


def test_the_word_for_a_deletion_is_a_danger_when_it_is_given() -> None:
    before = {**repository("p/web"), "forceDelete": False}
    changed = step(
        "update", REPOSITORY, old=before, new={**before, "forceDelete": True}, details={"forceDelete": "update"}
    )
    assert "`p/web` is deleted **with all its images**" in said(changed)
    taken_back = step(
        "update", REPOSITORY, old=changed["newState"]["inputs"], new=before, details={"forceDelete": "update"}
    )
    assert not [*losses(preview(taken_back).changes, lambda _: "")]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (("p/web", "p/web"), ("x/p/web", "p/web"), "`p/web` gets the new repository `x/p/web`, which is empty"),
        (("p/web", "p/web"), ("p/site", "p/site"), "If `p/web` becomes `p/site`: `p/site` is a new repository"),
        (("p/web", "p/web"), ("q/web", "q/web"), "If `p/web` becomes `q/web`: `q/web` is a new repository"),
    ],
    ids=["another repository or prefix", "another name", "another project"],
)
def test_a_new_name_is_told_for_what_it_is(old: tuple[str, str], new: tuple[str, str], sentence: str) -> None:
    assert sentence in said(leaves(*old), comes(*new))
    assert "`repository`" in said(leaves(*old), comes(*new)), "people do not learn how to keep the repository"


def test_nothing_is_guessed_where_several_names_are_possible() -> None:
    sentence = said(leaves("p/web", "p/web"), comes("p/site", "p/site"), comes("p/docs", "p/docs"))
    assert "becomes" not in sentence
    changes = preview(leaves("p/a", "p/a"), leaves("p/b", "p/b"), comes("p/c", "p/c")).changes
    sentences = [*losses(changes, lambda _: "")]
    assert not [each for each in sentences if "becomes" in each]
    assert "becomes" not in said(leaves("p/web"), comes("p/site", "p/site")), "nobody knows what image it was of"


def test_a_repository_that_is_taken_in_shows_what_changes_on_it() -> None:
    old, new = repository("p/web"), {**repository("p/web"), "imageTagMutability": "IMMUTABLE"}
    taken_in = step("import", REPOSITORY, new=old)
    changed = step("update", REPOSITORY, old=old, new=new, details={"imageTagMutability": "add"})
    [change] = preview(taken_in, changed).changes
    assert change.operation is Operation.IMPORT
    assert [found.path for found in change.properties] == ["imageTagMutability"]
