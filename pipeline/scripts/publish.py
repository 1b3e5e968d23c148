"""Publish what an image's build jobs pushed: under the tag IMAGE_VERSION, which stays, and under IMAGE_TAG.

Arguments: what is added to the repository's name for refs that are not protected, the suffix of the image's own
variables, the image's name, its repository, and each build as ARCHITECTURE=PLATFORM. The tags are read from build.env.
Several architectures are joined in an index; a single one is tagged as it is. If IMAGE_VERSION has the same content
already, it is not written again, so that a retry succeeds; if it has other content, the job fails. Another IMAGE_TAG is
`latest`: it moves, but never back to the image of an older pipeline. GitLab runs one such job of an image at a time.
Writes the digest to .buildyard/NAME.digest, and the report to build.env.
"""

import json
import os
import sys
from pathlib import Path

from pipeline.scripts.index import push_index
from pipeline.scripts.registry import TAG_EXISTS, config, crane, labels, manifest, pipeline_number


def built_digest(architecture: str, wanted: str) -> str:
    """The digest that a build job left, after a check that the image is for the wanted platform."""
    metadata = Path(f".buildyard/{name}-{architecture}.json")
    if not metadata.exists():
        sys.exit(f"build-{name}:{architecture} left no digest: let it succeed first, then retry this job.")
    digest: str = json.loads(metadata.read_text())["containerimage.digest"]
    if platform(config(f"{repository}@{digest}")) != wanted:
        sys.exit(f"build-{name}:{architecture} built an image that is not for {wanted}: {digest}")
    return digest


def platform(said: dict[str, str]) -> str:
    """The platform of an image's configuration, or of an index's entry."""
    return f"{said.get('os')}/{said.get('architecture')}"


def published(reference: str) -> dict[str, str]:
    """The digest of each platform under a tag; empty if there is no such tag."""
    found = manifest(reference)
    if "manifests" in found:
        return {platform(child.get("platform", {})): child["digest"] for child in found["manifests"]}
    return {platform(config(reference)): crane("digest", reference)} if found else {}


def annotations() -> dict[str, str]:
    """The annotations of an index. Source: https://github.com/opencontainers/image-spec/blob/main/annotations.md"""
    said = {
        "created": os.environ["CI_PIPELINE_CREATED_AT"],
        "revision": os.environ["CI_COMMIT_SHA"],
        "source": os.environ["CI_PROJECT_URL"],
        "title": name,
        "version": version,
    }
    return {f"org.opencontainers.image.{key}": value for key, value in said.items()}


def publish() -> str:
    """Push the tag that stays: the image's digest."""
    reference = f"{repository}:{version}"
    present, wanted = published(reference), ""
    if not present and len(built) > 1:
        wanted = push_index(reference, built.values(), annotations())
    elif not present:
        [wanted] = built.values()
        crane("tag", f"{repository}@{wanted}", version, unless=TAG_EXISTS)
    digest = crane("digest", reference)
    if present == built:
        print(f"{reference} is published already.")
    elif digest != wanted:
        sys.exit(
            f"{reference} holds another image, {digest}, and a published tag is never moved. "
            + (
                "Release this one under a new Git tag."
                if tag == version
                else "Start a new pipeline to publish this one."
            )
        )
    return digest


def move(digest: str) -> None:
    """Let the tag that moves point to the image, if no newer pipeline has published one."""
    reference = f"{repository}:{tag}"
    present = labels(reference)
    number = pipeline_number(present, project)
    if present and number is None:
        print(f"{reference} does not say which pipeline of this project built it, and counts as older.")
    if number is not None and number > own_number:
        print(
            f"{reference} is the image of pipeline {number} and stays: this is the older pipeline {own_number}. "
            "To go back to an older image, revert the commit."
        )
        return
    crane("tag", f"{repository}@{digest}", tag)
    print(f"{reference} is now {digest}.")


review_suffix, variables_suffix, name, repository, *builds = sys.argv[1:]
if os.environ.get("BUILDYARD_TIER") != "protected":
    repository += review_suffix
project, own_number = os.environ["CI_PROJECT_ID"], int(os.environ["CI_PIPELINE_IID"])
report = dict(line.split("=", 1) for line in Path("build.env").read_text().splitlines())
tag, version = report["IMAGE_TAG"], report["IMAGE_VERSION"]
platforms = dict(build.split("=", 1) for build in builds)
built = {wanted: built_digest(architecture, wanted) for architecture, wanted in platforms.items()}

digest = publish()
if tag != version:
    move(digest)
Path(".buildyard", f"{name}.digest").write_text(f"{digest}\n")
report |= {"IMAGE_URL": repository, "IMAGE_DIGEST": digest}
report |= {f"{key}_{variables_suffix}": value for key, value in report.items()}
text = "".join(f"{key}={value}\n" for key, value in report.items())
Path("build.env").write_text(text)
print(text, end="")
