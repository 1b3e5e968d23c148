"""The names of jobs. They are part of the contract, since other jobs may need them."""

from stacks.architecture import Architecture
from stacks.projects import Image

LAST_STAGE = ".post"
"""The stage after all others, which every pipeline of GitLab has."""

TAG = "container-get-tag"
CHECK = "container-check-latest"


def build(image: Image, architecture: Architecture) -> str:
    """The job that builds an image for an architecture."""
    return f"build-{image.name}:{architecture}"


def manifest(name: str) -> str:
    """The job that joins an image's builds."""
    return f"build-{name}:manifest"


def manifest_manual(image: Image) -> str:
    """The same job of an image that others depend on, in pipelines in which its builds are manual."""
    return f"{manifest(image.name)}:manual"


def resource_group(image: Image) -> str:
    """The group of which one job runs at a time: it publishes the image's tags.

    GitLab ignores a group whose name has a sign that an environment's must not have, such as a colon.
    Source: https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/ci/resource_group.rb
    """
    # Two versions may move the same tag, though they are two refs.
    return f"build-{image.name}" + ("" if image.semver else "/$CI_COMMIT_REF_SLUG")


def template(image: Image) -> str:
    """The template of an image's build jobs."""
    return f".buildyard-image-{image.name}"


def files(image: Image) -> str:
    """The template that lists the files that an image is made from."""
    return f".buildyard-files-{image.name}"
