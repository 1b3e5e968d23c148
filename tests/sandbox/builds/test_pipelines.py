"""Which images a pipeline builds, and what it leaves."""

import pytest

from sandbox.builds.events import Event, Trigger
from stacks.architecture import Architecture
from tests.sandbox.builds.company import HOST
from tests.sandbox.builds.conftest import FILES, Yard, job, on_branch, words

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


def test_an_index_of_both_architectures_is_published_with_labels_and_a_report(yard: Yard) -> None:
    project = yard.project([{"name": "app", "context": "app"}])
    result = yard.build(project)
    assert result.passed, [words(each) for each in result.jobs if not each.passed]
    [image] = result.images
    assert image.reference == f"{HOST}/{project.path}/app:latest"
    assert image.machines == {each.platform: each.machine for each in Architecture}
    for labels in image.labels.values():
        assert labels["org.opencontainers.image.revision"] == project.repository.commit_id("master")
        assert labels["org.opencontainers.image.source"] == f"{yard.company.gitlab}/{project.path}"
    assert image.report["IMAGE_DIGEST"].startswith("sha256:")


def test_a_merge_request_builds_what_it_changes_and_what_depends_on_that(yard: Yard) -> None:
    project = yard.project(TWO_IMAGES, THEIR_FILES)
    project.commit({"base/base": "2\n"}, branch="newer-base", start="master")
    result = yard.build(project, on_branch("newer-base", Trigger.MERGE_REQUEST))
    built = {each.name for each in result.jobs if each.name.endswith(":amd64")}
    assert built == {"build-base:amd64", "build-app:amd64"}, (
        "an image that nothing changed was built, or one was left out"
    )
    assert result.passed
    for image in result.images:
        assert image.report["IMAGE_TAG"] != "latest", "a merge request moved what everybody pulls"


def test_what_stands_on_an_unchanged_base_comes_from_the_cache(yard: Yard) -> None:
    dockerfile = "FROM base\nCOPY dependencies /dependencies\nRUN cat /dependencies >/installed\nCOPY app /app\n"
    files = {**THEIR_FILES, "app/Dockerfile": dockerfile, "app/dependencies": "one\n"}
    project = yard.project(TWO_IMAGES[:2], files)
    yard.build(project)
    project.commit({"app/app": "2\n"}, branch="newer-app", start="master")
    result = yard.build(project, on_branch("newer-app", Trigger.MERGE_REQUEST))
    assert not [each.name for each in result.jobs if each.name.startswith("build-base")]
    built = job(result, "build-app:amd64")
    cached = [step.instruction for step in built.steps.values() if step.cached]
    assert cached == ["COPY dependencies /dependencies", "RUN cat /dependencies >/installed"], words(built)


def test_a_pipeline_by_hand_builds_what_is_started(yard: Yard) -> None:
    project = yard.project(TWO_IMAGES, THEIR_FILES)
    result = yard.build(project, on_branch("master", Trigger.WEB), by_hand=["build-other:amd64"])
    assert {each.name for each in result.jobs if each.name.startswith("build-")} == {
        "build-other:amd64",
        "build-other:manifest",
    }
    assert result.passed


def test_a_release_is_published_once_and_never_moved(yard: Yard) -> None:
    project = yard.project([{"name": "a.b_c-d", "context": "app", "architectures": ["amd64"]}])
    tag = "V1.0_rc-2.x"  # all that a tag may have
    release = Event(trigger=Trigger.TAG, ref=tag)
    commit = project.repository.commit_id("master")
    assert commit
    project.tag(tag, commit)

    yard.build(project)  # the default branch's, from whose cache a tag is built
    checkout = yard.check_out(project, release)
    first = yard.run(checkout)
    assert first.passed, [words(each) for each in first.jobs if not each.passed]
    assert first.images[0].reference == f"{HOST}/{project.path}/a.b_c-d:{tag}"

    retried = yard.run(checkout)
    assert retried.passed, "a retry fails although the image is the same: " + words(retried.jobs[-1])

    project.tag(tag, project.commit({"app/source": "print 2\n"}))
    moved = yard.build(project, release)
    assert not moved.passed, "a published release was overwritten"
    assert "a published tag is never moved" in words(job(moved, "build-a.b_c-d:manifest"))
    published = yard.around.images.read(f"{project.path}/a.b_c-d/manifests/{tag}")
    assert published["config"]


def test_a_broken_dockerfile_fails_with_buildkits_own_error_and_publishes_nothing(yard: Yard) -> None:
    project = yard.project(files={**FILES, "app/Dockerfile": "FROM busybox:1.37\nRUN no-such-program\n"})
    result = yard.build(project)
    assert not result.passed
    assert "no-such-program: not found" in words(job(result, "build-app:amd64"))
    assert "latest" not in yard.tags(project)
    assert not result.images
