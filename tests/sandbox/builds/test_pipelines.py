"""The images that a pipeline builds, and its results."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.builds.events import Event, Trigger
from tests.sandbox.builds.environments import FILES, Environment, job, on_branch, words
from tests.sandbox.builds.example_group import HOST

pytestmark = pytest.mark.builds

TWO_IMAGES = [
    {"name": "base", "context": "base", "architectures": ["amd64"]},
    {"name": "app", "context": "app", "architectures": ["amd64"], "depends-on": ["base"]},
    {"name": "other", "context": "other", "architectures": ["amd64"]},
]
THEIR_FILES = {
    "base/Dockerfile": "FROM busybox:1.37\nCOPY base /base\n",
    "base/base": "1\n",
    "app/Dockerfile": "FROM base\nCOPY app /app\n",
    "app/app": "1\n",
    "other/Dockerfile": "FROM busybox:1.37\nCOPY other /other\n",
    "other/other": "1\n",
}


def test_an_index_of_both_architectures_is_published_with_labels_and_a_report(environment: Environment) -> None:
    project = environment.project([{"name": "app", "context": "app"}])
    result = environment.build(project)
    assert result.passed, [words(each) for each in result.jobs if not each.passed]
    [image] = result.images
    assert image.reference == f"{HOST}/{project.path}/app:latest"
    assert image.machines == {"linux/arm64": "aarch64", "linux/amd64": "x86_64"}
    for labels in image.labels.values():
        assert labels["org.opencontainers.image.revision"] == project.repository.commit_id("master")
        assert labels["org.opencontainers.image.source"] == f"{environment.group.gitlab}/{project.path}"
    assert image.report["IMAGE_DIGEST"].startswith("sha256:")


def test_a_merge_request_builds_what_it_changes_and_what_depends_on_that(environment: Environment) -> None:
    project = environment.project(TWO_IMAGES, THEIR_FILES)
    project.commit({"base/base": "2\n"}, branch="newer-base", start="master")
    result = environment.build(project, on_branch("newer-base", Trigger.MERGE_REQUEST))
    built = {each.name for each in result.jobs if each.name.endswith(":amd64")}
    assert built == {"build-base:amd64", "build-app:amd64"}, (
        "an image that nothing changed was built, or one was left out"
    )
    assert result.passed
    for image in result.images:
        assert image.report["IMAGE_TAG"] != "latest", "a merge request moved what everybody pulls"


def test_what_stands_on_an_unchanged_base_comes_from_the_cache(environment: Environment) -> None:
    dockerfile = "FROM base\nCOPY dependencies /dependencies\nRUN cat /dependencies >/installed\nCOPY app /app\n"
    files = {**THEIR_FILES, "app/Dockerfile": dockerfile, "app/dependencies": "one\n"}
    project = environment.project(TWO_IMAGES[:2], files)
    environment.build(project)
    project.commit({"app/app": "2\n"}, branch="newer-app", start="master")
    result = environment.build(project, on_branch("newer-app", Trigger.MERGE_REQUEST))
    assert not [each.name for each in result.jobs if each.name.startswith("build-base")]
    built = job(result, "build-app:amd64")
    cached = [step.instruction for step in built.steps.values() if step.cached]
    assert cached == ["COPY dependencies /dependencies", "RUN cat /dependencies >/installed"], words(built)


def test_two_pushes_at_once_end_with_the_image_of_both(environment: Environment) -> None:
    project = environment.project(TWO_IMAGES, THEIR_FILES)
    assert environment.build(project).passed
    project.commit({"base/base": "2\n"})
    slow = environment.check_out(project, on_branch("master", Trigger.PUSH))
    project.commit({"app/app": "2\n"})
    with ThreadPoolExecutor() as threads:
        newer = threads.submit(environment.build, project, on_branch("master", Trigger.PUSH))
        time.sleep(8)  # its build of the dependent image starts before the older pipeline builds the base
        older = environment.run(slow)
    for result in (older, newer.result()):
        assert result.passed, [words(each) for each in result.jobs if not each.passed]
    assert "build-base:amd64" not in [each.name for each in newer.result().jobs]
    [image] = [image for image in newer.result().images if image.report["IMAGE_URL"].endswith("/app")]
    held = environment.builds.images.read(f"{project.path}/app/manifests/latest")
    assert held == environment.builds.images.read(f"{project.path}/app/manifests/{image.report['IMAGE_DIGEST']}")
    base = environment.builds.images.read(f"{project.path}/base/manifests/latest")
    assert base["layers"] == held["layers"][: len(base["layers"])], "the newest commit gives another image"


def test_somebody_who_starts_a_pipeline_chooses_images_and_gets_their_dependents(environment: Environment) -> None:
    project = environment.project(TWO_IMAGES, THEIR_FILES)
    event = Event(trigger=Trigger.WEB, ref="master", chosen={"BUILDYARD_IMAGES": "base"})
    result = environment.build(project, event)
    built = {each.name for each in result.jobs if each.name.startswith("build-")}
    assert built == {"build-base:amd64", "build-base:manifest", "build-app:amd64", "build-app:manifest"}
    assert all(each.passed for each in result.jobs if each.name in built)
    check = job(result, "container-check-latest")
    assert check.passed is False, "an image of the project was never built"
    assert "start build-other:amd64 in the newest pipeline" in words(check)
    assert "BUILDYARD_IMAGES=other" in words(check)
    wrong = environment.build(project, Event(trigger=Trigger.WEB, ref="master", chosen={"BUILDYARD_IMAGES": "bas"}))
    assert not wrong.passed
    assert "Did you mean base?" in words(job(wrong, "container-get-tag"))


def test_a_manual_pipeline_builds_the_started_jobs(environment: Environment) -> None:
    project = environment.project(TWO_IMAGES, THEIR_FILES)
    result = environment.build(project, on_branch("master", Trigger.WEB), manual=["build-other:amd64"])
    assert {each.name for each in result.jobs if each.name.startswith("build-")} == {
        "build-other:amd64",
        "build-other:manifest:manual",
    }
    assert result.passed


def test_a_failed_manual_job_fails_the_command(environment: Environment) -> None:
    project = environment.project(TWO_IMAGES, {**THEIR_FILES, "other/Dockerfile": "FROM busybox:1.37\nRUN exit 3\n"})
    result = environment.build(project, on_branch("master", Trigger.WEB), manual=["build-other:amd64"])
    assert job(result, "build-other:amd64").passed is False
    assert not result.passed, "whoever asked for the job would be told that it passed"


def test_a_release_is_published_once_and_never_moved(environment: Environment) -> None:
    project = environment.project([{"name": "a.b_c-d", "context": "app", "architectures": ["amd64"]}])
    tag = "V1.0_rc-2.x"  # all characters that a tag may have
    release = Event(trigger=Trigger.TAG, ref=tag)
    commit = project.repository.commit_id("master")
    assert commit
    project.tag(tag, commit)

    environment.build(project)  # the default branch, whose cache the tag's build uses
    checkout = environment.check_out(project, release)
    first = environment.run(checkout)
    assert first.passed, [words(each) for each in first.jobs if not each.passed]
    assert first.images[0].reference == f"{HOST}/{project.path}/a.b_c-d:{tag}"

    retried = environment.run(checkout)
    assert retried.passed, "a retry fails although the image is the same: " + words(retried.jobs[-1])

    project.tag(tag, project.commit({"app/source": "print 2\n"}))
    moved = environment.build(project, release)
    assert not moved.passed, "a published release was overwritten"
    assert "a published tag is never moved" in words(job(moved, "build-a.b_c-d:manifest"))
    published = environment.builds.images.read(f"{project.path}/a.b_c-d/manifests/{tag}")
    assert published["config"]


def test_a_broken_dockerfile_fails_with_buildkits_own_error_and_publishes_nothing(environment: Environment) -> None:
    project = environment.project(files={**FILES, "app/Dockerfile": "FROM busybox:1.37\nRUN no-such-program\n"})
    result = environment.build(project)
    assert not result.passed
    assert "no-such-program: not found" in words(job(result, "build-app:amd64"))
    assert "latest" not in environment.tags(project)
    assert not result.images
