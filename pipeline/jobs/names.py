"""What jobs are called: part of the contract, since other jobs may need them."""

from stacks.architecture import Architecture
from stacks.settings import Image

STAGE = "build"
"""The one stage. Needs, not stages, put the jobs in order: GitLab lets a job need none of a later stage, and a manifest
precedes the builds of the images that are built on it. Every project has this stage that lists none of its own."""

TAG = "container-get-tag"


def build(image: Image, architecture: Architecture) -> str:
    """The job that builds an image for an architecture."""
    return f"build-{image.name}:{architecture}"


def manifest(name: str) -> str:
    """The job that joins an image's builds."""
    return f"build-{name}:manifest"


def manifest_manual(image: Image) -> str:
    """The same for an image that others depend on, in the pipelines that build it by hand."""
    return f"{manifest(image.name)}:manual"


def template(image: Image) -> str:
    """What an image's build jobs share."""
    return f".image-{image.name}"
