"""Images of other registries, projects that are built on them, and the caches that the platform would create."""

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from components import policy_documents
from sandbox.builds import tools
from sandbox.builds.events import Trigger
from sandbox.builds.run import Result
from stacks.trust import Tier
from tests.sandbox.builds.environments import Environment, job, on_branch, words
from tests.sandbox.builds.example_group import BRANCH, ImageProject

BUILD = "build-app:amd64"


def store(environment: Environment, repository: str, says: str, tag: str = "1") -> str:
    """Put an image into the registry that stores all images, and return its digest."""
    layer = environment.directory / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        entry = tarfile.TarInfo("origin")
        entry.size = len(says)
        archive.addfile(entry, io.BytesIO(says.encode()))
    images = environment.builds.images
    crane = tools.program("crane")
    base = f"{images.address}/docker.io/library/busybox:1.37"
    target = f"{images.address}/{repository}:{tag}"
    for command in (
        ["append", "--platform=linux/amd64", "--base", base, "--new_layer", str(layer), "--new_tag", target],
        ["mutate", target, "--tag", target],
    ):
        subprocess.run([crane, *command], check=True, capture_output=True)
    return subprocess.check_output([crane, "digest", target], text=True).strip()


def put_into_ecr(environment: Environment, ecr: Any, folder: str, repository: str, says: str) -> None:
    """Put an image into a new repository of an account's ECR."""
    store(environment, folder + repository, says)
    ecr.create_repository(repositoryName=repository)
    found = environment.builds.images.manifest(folder + repository, "1")
    assert found
    ecr.put_image(
        repositoryName=repository, imageManifest=found[1].decode(), imageManifestMediaType=found[0], imageTag="1"
    )


def project_on(
    environment: Environment,
    image: str,
    says: str,
    registry: Mapping[str, Any] | None = None,
    variables: Sequence[Mapping[str, Any]] = (),
) -> ImageProject:
    """A project whose image is built on another one, and whose build fails if that is not from where the test says."""
    dockerfile = f'FROM {image}\nRUN test "$(cat /origin)" = "{says}"\n'
    made = environment.project(files={"app/Dockerfile": dockerfile}, registry=registry)
    for variable in variables:
        made.group.api.projects.get(made.path).variables.create(dict(variable))
    return made


def both_tiers(environment: Environment, project: ImageProject) -> dict[Tier, Result]:
    """The results of the default branch's pipeline and of a merge request's."""
    project.commit({"app/source": "print 2\n"}, branch="feature", start=BRANCH)
    return {
        Tier.PROTECTED: environment.build(project),
        Tier.UNPROTECTED: environment.build(project, on_branch("feature", Trigger.MERGE_REQUEST)),
    }


def assert_built(results: Mapping[Tier, Result]) -> None:
    for tier, result in results.items():
        assert result.passed, f"{tier}: {words(job(result, BUILD))}"


def create_caches(environment: Environment, *upstreams: tuple[str, str, str | None]) -> None:
    """Create the rules and templates that the platform creates, each with its folder, upstream and credentials."""
    ecr = environment.group.client("ecr")
    known = {each["ecrRepositoryPrefix"] for each in ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]}
    for folder, upstream, credentials in upstreams:
        for prefix in (f"cache/{folder}", f"cache/review/{folder}"):
            if prefix in known:
                continue
            ecr.create_repository_creation_template(
                prefix=prefix,
                appliedFor=["PULL_THROUGH_CACHE"],
                lifecyclePolicy=json.dumps(policy_documents.upstream_lifecycle_policy(keep_days=30)),
            )
            extra = {"credentialArn": credentials} if credentials else {}
            ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl=upstream, **extra)


HUB = "arn:aws:secretsmanager:ap-east-1:123456789012:secret:ecr-pullthroughcache/hub-AbCdEf"
CACHES = {"pull-through": {"docker-hub": {"credentials": HUB}, "quay": {}}}
