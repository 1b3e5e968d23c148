"""Settings that somebody wrote to break something: each is refused by its key, in bounded work."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as run
from hypothesis import strategies as st

from stacks import problems as problems_module
from stacks.parsing import parse
from stacks.problems import Problem, SettingsError, key_path, nearest
from stacks.settings import MAX_TAGS, Settings
from tests.stacks.stack_settings import SMALLEST, problems, project, raw, settings

PROJECT = "buildyard:projects[0]"
IMAGE = f"{PROJECT}.images[0]"


def images(*found: dict[str, Any]) -> dict[str, Any]:
    return {"projects": [project(*found)]}


def one(**keys: Any) -> dict[str, Any]:
    """The settings with one image, with these keys."""
    return images({"name": "web", **{key.replace("_", "-"): value for key, value in keys.items()}})


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        (
            one(resources={"cpu": {"request": "9" * 40}}),
            f"{IMAGE}.resources.cpu.request",
            "is not a Kubernetes quantity",
        ),
        (one(resources={"cpu": {"request": 10**40}}), f"{IMAGE}.resources.cpu.request", "is not a Kubernetes quantity"),
        (
            one(resources={"cpu": {"request": "٣"}}),
            f"{IMAGE}.resources.cpu.request",
            "'٣' is not a Kubernetes quantity",
        ),
        (
            one(resources={"cpu": {"request": "9" * 18 + "E"}}),
            f"{IMAGE}.resources.cpu.request",
            "than Kubernetes can count",
        ),
        (one(resources={"cpu": {"request": []}}), f"{IMAGE}.resources.cpu.request", "[] is not a Kubernetes quantity"),
        (
            one(resources={"cpu": {"limit": float("inf")}}),
            f"{IMAGE}.resources.cpu.limit",
            "inf is not a Kubernetes quantity",
        ),
        (one(timeout_minutes="٣٠"), f"{IMAGE}.timeout-minutes", "'٣٠' is not a whole number"),
        (one(timeout_minutes=float("nan")), f"{IMAGE}.timeout-minutes", "nan is not a whole number"),
        ({"runners": {"concurrent": True}}, "buildyard:runners.concurrent", "True is not a whole number"),
        (one(dockerfile="../.."), f"{IMAGE}.dockerfile", "'../..' is not the path of a file"),
        (one(dockerfile="docker/"), f"{IMAGE}.dockerfile", "'docker/' is not the path of a file"),
        (one(dockerfile=""), f"{IMAGE}.dockerfile", "'' is not the path of a file"),
        (one(dockerfile="."), f"{IMAGE}.dockerfile", "'.' is not the path of a file"),
        (one(dockerfile="a\nb"), f"{IMAGE}.dockerfile", r"'a\nb' is not the path of a file"),
        (one(dockerfile="../../images"), f"{IMAGE}.dockerfile", "is not a file of the repository"),
        (one(dockerfile="../../.git/config"), f"{IMAGE}.dockerfile", "is not a file of the repository"),
        (one(dockerfile="../../../x"), f"{IMAGE}.dockerfile", "is outside the repository"),
        (one(dockerfile="/etc/passwd"), f"{IMAGE}.dockerfile", "is outside the repository"),
        (one(dockerfile="x" * 1025), f"{IMAGE}.dockerfile", "is too long"),
        (one(context=".git"), f"{IMAGE}.context", "'.git' is in Git's own folder"),
        (one(context="a/.GIT/hooks"), f"{IMAGE}.context", "is in Git's own folder"),
        (one(context=""), f"{IMAGE}.context", "'' is not a path"),
        (one(context="a\x1b[2J"), f"{IMAGE}.context", r"'a\x1b[2J' is not a path"),
        (one(build_args={"A": 3.1}), f"{IMAGE}.build-args.A", "3.1 is not a string"),
        (one(target="a b"), f"{IMAGE}.target", "'a b' has the wrong format"),
        (one(target="1st"), f"{IMAGE}.target", "'1st' has the wrong format"),
        (one(secrets={"a,b": "A"}), f"{IMAGE}.secrets.'a,b'", "has the wrong format"),
        (one(secrets={"..": "A"}), f"{IMAGE}.secrets.'..'", "has the wrong format"),
        ({"runners": {"builder-image": "a b"}}, "buildyard:runners.builder-image", "'a b' has the wrong format"),
        ({"registry": {"kms-key": "key"}}, "buildyard:registry.kms-key", "'key' has the wrong format"),
        ({"cluster": {"name": "ci", "subnet-ids": [""]}}, "buildyard:cluster.subnet-ids[0]", "'' is too short"),
        (
            {"cluster": {"name": "ci", "subnet-ids": ["x"]}},
            "buildyard:cluster.subnet-ids[0]",
            "'x' has the wrong format",
        ),
        ({"tags": {"aws:x": "y"}}, "buildyard:tags.aws:x", "tags that begin with aws: belong to AWS"),
        ({"tags": {"AWS:x": "y"}}, "buildyard:tags.AWS:x", "tags that begin with aws: belong to AWS"),
        ({"tags": {"buildyard:stack": "y"}}, "buildyard:tags.buildyard:stack", "belong to Buildyard"),
        ({"tags": {"": "y"}}, "buildyard:tags.''", "'' is too short"),
        ({"tags": {"k" * 129: "y"}}, f"buildyard:tags.'{'k' * 80}…'", "is too long"),
        ({"tags": {"a": "y" * 257}}, "buildyard:tags.a", "is too long"),
        ({"tags": {"a": "b;c"}}, "buildyard:tags.a", "'b;c' cannot be in an AWS tag"),
        ({"tags": {f"t{number}": "" for number in range(MAX_TAGS + 1)}}, "buildyard:tags", "has too many items"),
        (
            {"runners": {"namespace": "default"}},
            "buildyard:runners.namespace",
            "the namespace default is not Buildyard's",
        ),
        ({"runners": {"namespace": "kube-system"}}, "buildyard:runners.namespace", "is not Buildyard's"),
        ({"runners": {"namespace": "amazon-cloudwatch"}}, "buildyard:runners.namespace", "is not Buildyard's"),
    ],
)
def test_a_hostile_value_is_refused_by_its_key(keys: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems(**keys).values()
    assert problem.path == path
    assert message in problem.message
    assert len(str(problem)) < 400, "a value of a megabyte would be the whole message"


@pytest.mark.parametrize(
    "path", [".git/hooks/x.yml", ".GIT/x.yml", "a/.git/x.yml", "../x.yml", "/x.yml", "a\n.yml", "x"]
)
def test_a_pipeline_is_published_to_a_yaml_file_of_the_repository(path: str) -> None:
    found = problems(projects=[project({"name": "web"}, **{"pipeline-path": path})])
    assert list(found) == [f"{PROJECT}.pipeline-path"]


BRANCHES = [
    "a..b",
    "a.lock",
    "a.lock/b",
    "HEAD",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.",
    "-a",
    "@",
    "a b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[",
    "a\\",
    "a@{1}",
    "",
    "a\x7f",
    "é" * 300,
]


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_cannot_be_a_branch_is_refused(branch: str) -> None:
    found = problems(projects=[project({"name": "web"}, **{"default-branch": branch})])
    assert list(found) == [f"{PROJECT}.default-branch"]


@run(max_examples=100, deadline=None)
@given(st.text("ab./-_@Lock{~", min_size=1, max_size=8))
@example("a/-b")
@example("v1.2/x_y")
def test_every_branch_that_is_accepted_is_one_in_git(branch: str) -> None:
    try:
        settings(projects=[project({"name": "web"}, **{"default-branch": branch})])
    except SettingsError:
        return
    done = subprocess.run(["git", "check-ref-format", "--branch", branch], capture_output=True)
    assert done.returncode == 0, "publishing to it would fail in the middle of an update"


@pytest.mark.parametrize("branch", ["main", "release/1.2", "a/-b", "v1.2.x_y", "0"])
def test_usual_branches_are_accepted(branch: str) -> None:
    assert settings(projects=[project({"name": "web"}, **{"default-branch": branch})])


def test_a_repositorys_name_is_checked_as_a_whole() -> None:
    """ECR takes 2 to 256 characters, whatever they are made of."""
    path = "/".join(["group" + "x" * 58] * 3)
    keys: dict[str, Any] = {"runners": {"project": path}, "projects": [project({"name": "a" * 10}, path=path)]}
    long = problems(**keys, registry={"prefix": "p" * 54})[f"{IMAGE}.name"]
    assert "has 257 characters, and ECR takes 256 at most" in long.message
    assert settings(**keys, registry={"prefix": "p" * 53})
    own = one(repository="r" * 200)
    assert list(problems(**own, registry={"prefix": "p" * 56})) == [f"{IMAGE}.repository"]


@pytest.mark.parametrize("path", ["platform/a__b", "platform/a.-b", "platform/_a", "platform/a."])
def test_a_project_whose_path_ecr_refuses_needs_a_repository(path: str) -> None:
    [problem] = problems(projects=[project({"name": "web"}, path=path)]).values()
    assert problem.path == f"{IMAGE}.name"
    assert "which ECR refuses" in problem.message
    assert settings(projects=[project({"name": "web", "repository": "platform/web"}, path=path)])


@pytest.mark.parametrize("key", [None, 3, True, 1.5, ("a",)])
@pytest.mark.parametrize("place", ["tags", "nodes", "build-args"])
def test_a_key_that_is_not_a_string_is_refused(key: object, place: str) -> None:
    """Files and Pulumi's JSON have only strings as keys; other callers may not."""
    wrong = one(build_args={key: "x"}) if place == "build-args" else {place: {key: "x"}}
    assert all(path.startswith(("buildyard:tags", "buildyard:nodes", IMAGE)) for path in problems(**wrong))


def test_a_key_in_a_message_is_quoted_and_shortened() -> None:
    assert key_path("buildyard:tags", ["a\n/x", 3, "b" * 200]) == rf"buildyard:tags.'a\n/x'[3].'{'b' * 80}…'"
    assert (
        key_path("buildyard:projects", [0, "images", 1, "build-args"]) == "buildyard:projects[0].images[1].build-args"
    )


def bad(number: int) -> dict[str, Any]:
    return {
        "name": f"image-{number:04}",
        "context": "",
        "resources": {"cpu": {"reqest": "1"}},
        "depends-on": [f"imaeg-{number:04}"],
    }


def test_the_work_of_a_refusal_grows_with_its_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem may cost some comparisons, but not one with each of the other images."""
    compared = 0

    def close_matches(word: str, candidates: Any, n: int) -> list[str]:
        nonlocal compared
        compared += len(candidates)
        return list(candidates)[:n]

    monkeypatch.setattr(problems_module, "get_close_matches", close_matches)
    problems_module._nearest.cache_clear()
    try:
        found = problems(**images(*map(bad, range(2000))))
    finally:
        problems_module._nearest.cache_clear()
    assert len(found) == 6000
    assert compared < 2000 * 60, "2,000 unknown names, each compared with 2,000 images, take minutes"


def test_a_hint_among_many_words_is_still_the_most_similar() -> None:
    many = [f"image-{number:04}" for number in range(1000)]
    assert nearest("imaeg-0123", many) == "Did you mean image-0123?"
    listed = nearest("zzz", many)
    assert listed.endswith("image-0029 and 970 more.")
    assert listed.startswith("Known: image-0000, image-0001")


def test_a_cycle_of_a_thousand_images_is_named_by_some() -> None:
    circle = [{"name": f"i{number}", "depends-on": [f"i{(number + 1) % 1000}"]} for number in range(1000)]
    [problem] = problems(**images(*circle)).values()
    assert len(problem.message) < 300
    assert ", ..., " not in problem.message
    assert " -> ... -> " in problem.message


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "a", "ci", "1", "2Gi", "..", "platform/images", "m7g.large", "arm64", "default", "9" * 40])
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "path", "images", "arm64", "cpu", "x", ""]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values within a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


FULL: dict[str, Any] = raw(
    SMALLEST,
    nodes={"arm64": {"instance-types": ["m7g.large"], "max-size": 3, "disk": "100Gi"}},
    runners={"group": "platform", "helper": {"cpu": {"limit": "1"}}, "ceilings": {"memory": "20Gi"}},
    registry={"account": "123456789012", "prefix": "dev"},
    tags={"owner": "platform"},
    projects=[
        project(
            {"name": "base", "build-args": {"A": "b"}, "secrets": {"a": "B"}, "resources": {"cpu": {"limit": "5"}}},
            {"name": "web", "depends-on": ["base"], "architectures": ["arm64"], "dockerfile": "../Dockerfile"},
        )
    ],
)
PLACES = [place for place in places(FULL) if place]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    key, *rest = place
    if isinstance(value, dict):
        return {**value, key: replaced(value[key], tuple(rest), new)}
    return [replaced(item, tuple(rest), new) if position == key else item for position, item in enumerate(value)]


def outcome(values: dict[str, Any]) -> Settings | tuple[Problem, ...]:
    """The settings, or the problems in them."""
    try:
        return parse(values, source="stacks/Pulumi.test.yaml")
    except SettingsError as error:
        return error.problems


@run(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_any_values_anywhere_become_settings_or_problems(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    values: Any = FULL
    for place, value in changes:
        if place in set(places(values)):
            values = replaced(values, place, value)
    found = outcome(values)
    if isinstance(found, tuple):
        assert found
        assert all(problem.path.startswith("buildyard:") and problem.message and problem.hint for problem in found)
        assert all(len(str(problem)) < 2000 for problem in found)


@pytest.mark.parametrize(("other", "same"), [("a-b", True), ("a_b", True), ("ab", False), ("a.b.c", False)])
def test_images_whose_dotenv_variables_have_the_same_name_are_refused(other: str, same: bool) -> None:
    projects = [project({"name": "a.b"}, {"name": other}), {**project({"name": "a-b"}), "path": "platform/more"}]
    if not same:
        assert settings(projects=projects)
        return
    found = problems(projects=projects)
    assert list(found) == [f"{PROJECT}.images[1].name"]
    assert found[f"{PROJECT}.images[1].name"].message == f"a.b and {other} would both report IMAGE_DIGEST_A_B"
