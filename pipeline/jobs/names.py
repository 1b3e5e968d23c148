"""The names of jobs. They are part of the contract, since other jobs may need them."""

from stacks.architecture import Architecture
from stacks.settings import Image

STAGE = "build"
"""The only stage. Needs put the jobs in order, not stages: a job cannot need a job of a later stage, and an image's
manifest job runs before the builds of the images that depend on it. A project that lists no stages has this one."""

TAG = "container-get-tag"


def build(image: Image, architecture: Architecture) -> str:
    """The job that builds an image for an architecture."""
    return f"build-{image.name}:{architecture}"


def manifest(name: str) -> str:
    """The job that joins an image's builds."""
    return f"build-{name}:manifest"


def manifest_manual(image: Image) -> str:
    """The same job of an image that others depend on, in pipelines in which its builds are manual."""
    return f"{manifest(image.name)}:manual"


def template(image: Image) -> str:
    """The template of an image's build jobs."""
    return f".buildyard-image-{image.name}"


def files(image: Image) -> str:
    """The template that lists the files that an image is made from."""
    return f".buildyard-files-{image.name}"
