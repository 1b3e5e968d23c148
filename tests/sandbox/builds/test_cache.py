"""Cache hits in real builds that start without any local state, as a new pod does."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox.builds.events import Event, Trigger
from stacks import tags
from tests.sandbox.builds.environments import FILES, Environment, job, on_branch, words

pytestmark = pytest.mark.builds
BUILD = "build-app:amd64"


def test_unchanged_costs_nothing_and_a_source_change_only_its_own_layer(environment: Environment) -> None:
    project = environment.project()
    first = job(environment.build(project), BUILD)
    assert (len(first.steps), first.cached) == (3, 0)

    again = job(environment.build(project), BUILD)
    assert again.cached == 3, f"an unchanged image is built again: {words(again)}"

    project.commit({"app/source": "print 2\n"})
    changed = job(environment.build(project), BUILD)
    cached = [step.instruction for step in changed.steps.values() if step.cached]
    assert cached == ["COPY dependencies /dependencies", "RUN cat /dependencies > /installed"], words(changed)


def test_a_new_branch_starts_from_the_default_branchs_cache(environment: Environment) -> None:
    project = environment.project()
    environment.build(project)
    project.commit({"README.md": "A branch\n"}, branch="feature/new", start="master")
    assert job(environment.build(project, on_branch("feature/new")), BUILD).cached == 3


def test_branches_and_architectures_at_once_keep_each_their_own_cache(environment: Environment) -> None:
    project = environment.project([{"name": "app", "context": "app"}])
    for branch in ("a/b", "a-b"):  # the same slug
        project.commit({"app/dependencies": f"{branch}\n"}, branch=branch, start="master")
    with ThreadPoolExecutor() as threads:
        results = list(threads.map(lambda branch: environment.build(project, on_branch(branch)), ("a/b", "a-b")))
    assert all(result.passed for result in results)
    assert len([tag for tag in environment.tags(project, "app/review") if tag.startswith(tags.CACHE_PREFIX)]) == 4
    for branch in ("a/b", "a-b"):
        result = environment.build(project, on_branch(branch))
        for architecture in ("arm64", "amd64"):
            built = job(result, f"build-app:{architecture}")
            assert built.cached == 3, f"{branch} lost its cache for {architecture} to another build: {words(built)}"


def test_a_broken_cache_does_not_stop_a_build(environment: Environment) -> None:
    project = environment.project()
    environment.build(project)
    [cache] = [tag for tag in environment.tags(project) if tag.startswith(tags.CACHE_PREFIX)]
    manifest = environment.builds.images.read(f"{project.path}/app/manifests/{cache}")
    for blob in [manifest["config"], *manifest["layers"]]:
        requests.delete(f"{environment.builds.images.url}/v2/{project.path}/app/blobs/{blob['digest']}", timeout=10)
    project.commit({"app/source": FILES["app/source"] + "print 2\n"})
    built = job(environment.build(project), BUILD)
    assert built.passed, words(built)


@pytest.mark.parametrize("position", [0, 1, -1], ids=["its configuration", "a layer", "the last layer"])
def test_a_blob_that_a_cache_lacks_does_not_stop_a_build(environment: Environment, position: int) -> None:
    project = environment.project()
    environment.build(project)
    [cache] = [tag for tag in environment.tags(project) if tag.startswith(tags.CACHE_PREFIX)]
    manifest = environment.builds.images.read(f"{project.path}/app/manifests/{cache}")
    blob = [manifest["config"], *manifest["layers"]][position]["digest"]
    requests.delete(f"{environment.builds.images.url}/v2/{project.path}/app/blobs/{blob}", timeout=10)
    project.commit({"app/source": FILES["app/source"] + "print 2\n"})
    built = job(environment.build(project), BUILD)
    assert built.passed, words(built)
    again = job(environment.build(project), BUILD)
    assert again.cached == 3, f"the cache stays damaged: {words(again)}"


def test_renewing_runs_every_step_again_and_writes_the_cache(environment: Environment) -> None:
    project = environment.project()
    environment.build(project)
    event = Event(trigger=Trigger.SCHEDULE, ref="master", chosen={"BUILDYARD_CACHE": "renew"})
    renewed = job(environment.build(project, event), BUILD)
    assert (renewed.passed, renewed.cached) == (True, 0), words(renewed)
    assert job(environment.build(project), BUILD).cached == 3
