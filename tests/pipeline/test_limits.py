"""Tests that pipelines that GitLab would refuse are refused before they are published, at the key that causes it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import graph, limits, size
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.model import Job, Need, Pipeline, Reference
from pipeline.paths import MAX_CHANGES
from pipeline.render import render
from stacks.problems import SettingsError
from stacks.projects import Image
from tests.pipeline import events
from tests.pipeline.conftest import GitLabCiLocal
from tests.pipeline.published import assert_valid, files, gitlab_size, inputs, jobs, loaded, write
from tests.stacks.stack_settings import project

TEMPLATE = Job(name=".template", origin="buildyard:projects[0]")
ONE = Job(name="one", origin="buildyard:projects[0].images[0]", extends=(".template",), stage="build")


def faults(*jobs: Job) -> dict[str, str]:
    """The errors in a pipeline of these jobs, by key."""
    pipeline: Pipeline = replace(generate(inputs()), jobs=(TEMPLATE, *jobs))
    return {problem.path: problem.message for problem in (*graph.check(pipeline), *limits.check(pipeline, inputs()))}


def test_a_sound_graph_has_no_faults() -> None:
    assert faults(ONE, replace(ONE, name="two", needs=(Need(job="one"),))) == {}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (replace(ONE, needs=(Need(job="on"),)), "one needs on, which does not exist"),
        (replace(ONE, needs=(Need(job=".template"),)), "one needs .template, which does not exist"),
        (replace(ONE, extends=(".temp",)), "one extends .temp, which does not exist"),
        (replace(ONE, rules=(Reference(".temp", "rules"),)), "one extends .temp, which does not exist"),
        (replace(ONE, stage="deploy"), "one is in the stage deploy, which does not exist"),
        (replace(ONE, needs=(Need(job="one"),)), "jobs wait for each other in a cycle: one -> one"),
    ],
)
def test_a_fault_is_told_with_the_image_that_it_comes_from(wrong: Job, message: str) -> None:
    assert faults(wrong) == {"buildyard:projects[0].images[0]": message}


def test_two_jobs_of_one_name_are_refused() -> None:
    assert "there are 2 jobs called one" in faults(ONE, ONE)["buildyard:projects[0].images[0]"]


def test_a_circle_is_named_whole() -> None:
    two = replace(ONE, name="two", origin="b", needs=(Need(job="one"),))
    found = "".join(faults(replace(ONE, needs=(Need(job="two"),)), two).values())
    assert "one -> two -> one" in found or "two -> one -> two" in found


def test_more_needs_than_gitlab_takes_point_to_depends_on() -> None:
    names = [f"base{number}" for number in range(limits.MAX_NEEDS + 1)]
    with pytest.raises(SettingsError) as caught:
        files(projects=[project(*({"name": name} for name in names), {"name": "top", "depends-on": names})])
    problem = caught.value.problems[0]
    assert problem.path == f"buildyard:projects[0].images[{len(names)}].depends-on"
    assert problem.message == ".buildyard-image-top would need 51 jobs, and GitLab takes 50 at most"
    assert problem.hint == "Add an image in between that contains what several of them have in common."
    assert str(caught.value).startswith("stacks/Pulumi.test.yaml has ")


def test_as_many_needs_as_gitlab_takes_are_published() -> None:
    needs = tuple(Need(job=f"job{number}") for number in range(limits.MAX_NEEDS))
    assert faults(*(replace(ONE, name=need.job) for need in needs), replace(ONE, name="last", needs=needs)) == {}


@pytest.mark.parametrize(
    ("jobs", "hint"),
    [
        ([replace(ONE, needs=(Need(job="oen"),))], "Did you mean one?"),
        ([replace(ONE, extends=(".templat",))], "Did you mean .template?"),
        ([replace(ONE, stage="biuld")], "Did you mean build?"),
        ([ONE, ONE], "Give each image its own name."),
        ([replace(ONE, needs=(Need(job="one"),))], "Remove one of these images from the other's depends-on."),
    ],
)
def test_a_fault_has_a_hint(jobs: list[Job], hint: str) -> None:
    pipeline = replace(generate(inputs()), jobs=(TEMPLATE, *jobs))
    assert [problem.hint for problem in graph.check(pipeline)] == [hint]


def test_more_jobs_than_the_instance_takes_point_to_the_limit() -> None:
    with pytest.raises(SettingsError) as caught:
        files(projects=[project({"name": "base"}, {"name": "web", "depends-on": ["base"]}, **{"max-jobs": 7})])
    (problem,) = caught.value.problems
    assert problem.path == "buildyard:projects[0].max-jobs"
    assert "up to 8 jobs" in problem.message, "the tag, the check, and three for each image"


def test_as_many_jobs_as_the_instance_takes_are_published() -> None:
    assert files(projects=[project({"name": "base"}, {"name": "web", "depends-on": ["base"]}, **{"max-jobs": 8})])


def many(count: int = 1000) -> dict[str, Any]:
    return project(*({"name": f"image-{number:04}"} for number in range(count)))


def test_a_thousand_images_stay_within_gitlabs_limits() -> None:
    stack = inputs(projects=[many()])
    published = render(generate(stack))
    for file in published:
        assert gitlab_size(file.text) <= limits.MAX_FILE_BYTES, f"GitLab would refuse {file.path} as too large"
    assert [include["local"] for include in loaded(published[0].text)["include"]] == [
        f"/{f.path}" for f in published[1:]
    ]
    assert len(jobs(published)) == 4002


# The first limit leaves a file some 260 images: just more jobs than a power of two, at which Ruby's hash doubles.
@pytest.mark.parametrize("limit", [1_200_000, 700_000])
def test_files_are_as_large_as_gitlab_takes_and_no_larger(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", limit)
    published = render(generate(inputs(projects=[many(540)])))
    sizes = [gitlab_size(file.text) for file in published]
    assert max(sizes) <= limit, "GitLab would refuse the file as too large"
    assert all(each > limit - 10_000 for each in sizes[1:-1]), "there would be more files than needed"


def test_a_file_that_does_not_fit_with_the_includes_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = inputs(projects=[project({"name": "one"}, {"name": "two"})])
    (whole,) = render(generate(stack))
    monkeypatch.setattr(limits, "MAX_FILES", 2)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", gitlab_size(whole.text) - 1)
    first, second = render(generate(stack))
    assert loaded(first.text)["include"] == [{"local": f"/{second.path}"}]
    assert list(loaded(second.text)) == [
        ".buildyard-files-two",
        ".buildyard-image-two",
        "build-two:arm64",
        "build-two:amd64",
        "build-two:manifest",
        "build-two:manifest:manual",
    ], "the jobs of one image belong into one file"


def test_a_pipeline_that_fits_is_one_file() -> None:
    assert [file.path for file in files(projects=[project(*({"name": f"i{n}"} for n in range(150)))])] == [
        ".gitlab-ci.yml"
    ]


def test_more_files_than_gitlab_includes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 2)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 500_000)
    with pytest.raises(SettingsError) as caught:
        files(projects=[many(100)])
    [problem] = caught.value.problems
    assert problem.path == "buildyard:projects[0]"
    assert "the pipeline of platform/images would be 3 files, and GitLab reads 2 at most" in problem.message
    assert problem.hint == "Move images to another project."
    assert str(caught.value).startswith("stacks/Pulumi.test.yaml has 1 problem")


def test_a_pipeline_with_as_many_files_as_gitlab_includes_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 500_000)
    assert [file.path for file in files(projects=[many(100) | {"pipeline-path": "ci/images.yml"}])] == [
        "ci/images.yml",
        "ci/images.2.yml",
        "ci/images.3.yml",
    ]


@pytest.mark.parametrize(
    ("value", "bytes_"),
    [
        ("a" * 15, 40),
        ("a" * 16, 80),
        ("é" * 8, 80),
        ("a" * 615, 640),
        ("a" * 616, 40 + 617),
        ([None] * 3, 40),
        ([None] * 4, 80),
        ([None] * 78, 640),
        ([None] * 79, 40 + 632),
        (["a", ["b"]], 40 + 40 + 40 + 40),
        (dict.fromkeys(range(8)), 168),
        (dict.fromkeys(range(9)), 96 + 32 * 16),
        (dict.fromkeys(range(16)), 96 + 32 * 16),
        (dict.fromkeys(range(17)), 96 + 32 * 32),
        ({"a": {"b": "c"}}, 168 + 40 + 168 + 40 + 40),
        ([True, 1, None], 40),
        ([1.5], 40 + 40),
    ],
)
def test_sizes_grow_with_rubys_heap_slots(value: object, bytes_: int) -> None:
    assert size.parsed_bytes(value) == bytes_


def test_sizes_are_at_least_those_that_ruby_reports() -> None:
    # ObjectSpace.memsize_of in Ruby 3.1: a string of 10, 30 and 100 bytes, an array of 2, a hash of 1.
    assert size.parsed_bytes("a" * 10) == 40
    assert size.parsed_bytes("a" * 30) >= 71
    assert size.parsed_bytes("a" * 100) >= 141
    assert size.parsed_bytes([True, None]) == 40
    assert size.parsed_bytes({"a": 1}) == 168 + 40


def chain(count: int) -> dict[str, Any]:
    """Images of which each is built on the one before."""
    return project(
        *({"name": f"i{number}", "depends-on": [f"i{number - 1}"] if number else []} for number in range(count))
    )


@pytest.mark.parametrize("count", [50, 51, 60, 101])
def test_more_files_than_gitlab_takes_in_a_rule_are_divided(count: int) -> None:
    published = jobs(files(projects=[chain(count)]))
    for name in (f"build-i{count - 1}:arm64", f"build-i{count - 1}:manifest", f"build-i{count - 2}:manifest:manual"):
        of_image = [f"images/i{number}/**/*" for number in range(int(name.split(":")[0].removeprefix("build-i")) + 1)]
        by_condition: dict[str, list[str]] = {}
        for rule in published[name]["rules"]:
            if "changes" in rule:
                assert len(rule["changes"]["paths"]) <= MAX_CHANGES, "GitLab would refuse the file"
                by_condition.setdefault(rule["if"], []).extend(rule["changes"]["paths"])
        assert len(by_condition) == 2, "of merge requests, and of pushes"
        for paths in by_condition.values():
            assert sorted(paths) == sorted(of_image)


@pytest.mark.parametrize("changed", [0, 9, 49, 50, 58])
def test_a_change_of_any_image_in_a_long_chain_builds_what_is_built_on_it(changed: int) -> None:
    published = jobs(files(projects=[chain(60) | {"default-branch": "master"}]))
    path = f"images/i{changed}/Dockerfile"
    for event in (events.merge_request(path), events.push(path)):
        selected = events.selected(published, event)
        built = {name for name, how in selected.items() if name.endswith(":arm64") and how == "on_success"}
        assert built == {f"build-i{number}:arm64" for number in range(changed, 60)}


def test_gitlab_ci_local_parses_a_chain_of_60_images(tmp_path: Path, gitlab_ci_local: GitLabCiLocal) -> None:
    write(tmp_path, files(projects=[chain(60)]))
    listed = gitlab_ci_local(tmp_path, "--list-csv-all", "--no-evaluate-rule-changes")
    assert {f"build-i{number}:amd64" for number in range(60)} <= {line.split(";")[0] for line in listed.splitlines()}


def test_gitlabs_schema_takes_a_thousand_images_with_dependencies(tmp_path: Path) -> None:
    for file in files(projects=[layers()]):
        assert_valid(file.text, tmp_path)


def test_gitlab_ci_local_parses_a_thousand_images_with_dependencies(
    tmp_path: Path, gitlab_ci_local: GitLabCiLocal
) -> None:
    write(tmp_path, files(projects=[layers()]))
    listed = gitlab_ci_local(tmp_path, "--list-csv-all", "--no-evaluate-rule-changes", large=True)
    found = {line.split(";")[0] for line in listed.splitlines()}
    assert {f"build-top-{number}:{each}" for number in range(900) for each in ("arm64", "manifest")} <= found


def layers(count: int = 1000) -> dict[str, Any]:
    """Images in three layers: ten bases, ninety on one of them, and the others on one of each."""
    return project(
        *({"name": f"base-{number}"} for number in range(10)),
        *({"name": f"middle-{number}", "depends-on": [f"base-{number % 10}"]} for number in range(90)),
        *(
            {"name": f"top-{number}", "depends-on": [f"middle-{number % 90}", f"base-{number % 7}"]}
            for number in range(count - 100)
        ),
    )


def test_a_thousand_images_with_dependencies_stay_within_gitlabs_limits() -> None:
    published = files(projects=[layers()])
    assert len(published) <= limits.MAX_INCLUDES
    for file in published:
        assert gitlab_size(file.text) <= limits.MAX_FILE_BYTES, f"GitLab would refuse {file.path} as too large"
    built = jobs(published)
    assert len([name for name in built if name.endswith(":arm64")]) == 1000
    for name, job in built.items():
        assert len(job.get("needs", ())) <= limits.MAX_NEEDS, f"GitLab would refuse the needs of {name}"
        for rule in job["rules"]:
            assert len(rule.get("changes", {}).get("paths", ())) <= MAX_CHANGES, f"GitLab would refuse {name}"


def test_an_image_on_too_many_others_points_to_depends_on() -> None:
    with pytest.raises(SettingsError) as caught:
        files(projects=[chain(501)])
    [problem] = caught.value.problems
    assert problem.path == "buildyard:projects[0].images[500].depends-on"
    assert problem.message.startswith("i500 is made from 501 folders and files")
    assert problem.hint == "Depend on fewer images, or move several contexts into one folder."


def test_a_chain_of_a_thousand_images_is_refused_by_each_that_is_too_long() -> None:
    with pytest.raises(SettingsError) as caught:
        files(projects=[chain(1000)])
    assert len(caught.value.problems) == 500


def test_images_that_share_dependencies_count_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty images on all before them have 2 ** 39 ways from the last one to the first."""
    asked: Counter[str] = Counter()
    original = PipelineInputs.image

    def counted(self: PipelineInputs, name: str) -> Image:
        asked[name] += 1
        return original(self, name)

    monkeypatch.setattr(PipelineInputs, "image", counted)
    names = [f"i{number}" for number in range(40)]
    published = jobs(files(projects=[project(*({"name": n, "depends-on": names[:k]} for k, n in enumerate(names)))]))
    [paths, *_] = [rule["changes"]["paths"] for rule in published["build-i39:arm64"]["rules"] if "changes" in rule]
    assert paths == [
        "images/i39/**/*",
        *(f"images/{name}/**/*" for name in names[:39]),
    ]
    assert asked.total() < 40**3


def test_an_image_that_is_too_large_for_a_file_is_refused_by_name() -> None:
    long = {"name": "long", "build-args": {"TEXT": "x" * limits.MAX_FILE_BYTES}}
    with pytest.raises(SettingsError) as caught:
        files(projects=[project({"name": "first"}, long, {"name": "last"})])
    [problem] = caught.value.problems
    assert problem.path == "buildyard:projects[0].images[1]"
    assert problem.message.startswith("build-long:manifest")
    assert files(projects=[project({**long, "build-args": {"TEXT": "x" * (limits.MAX_FILE_BYTES - 12_000)}})])


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        (f"{'a' * 247}.yml", True),
        (f"{'a' * 248}.yml", False),
        (f"{'a' * 255}/b.yml", True),
        (f"{'a' * 256}/b.yml", False),
    ],
)
def test_a_path_that_no_runner_could_check_out_is_refused(path: str, fits: bool) -> None:
    projects = [project({"name": "web"}, **{"pipeline-path": path})]
    if fits:
        assert files(projects=projects)
        return
    with pytest.raises(SettingsError) as caught:
        files(projects=projects)
    assert [problem.path for problem in caught.value.problems] == ["buildyard:projects[0].pipeline-path"]


def test_jobs_of_all_images_that_are_too_large_for_a_file_point_to_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 20_000)
    with pytest.raises(SettingsError) as caught:
        files(projects=[project({"name": "web"})])
    [problem] = caught.value.problems
    assert (problem.path, problem.hint) == ("buildyard:projects[0]", "Move images to another project.")
