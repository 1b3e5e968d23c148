"""Print BuildKit's options for the images that this one is built on: `FROM NAME` means one of them.

Arguments: the default branch, the tag that moves with it, what is added to a repository's name for refs that are not
protected, and the images as JSON, each after those that it is built on, and the one to build last. An image that this
pipeline has built is taken from there, else its last published one is.
On the default branch the published one must be what this commit gives. If an older pipeline is still building it, the
job waits. The option `label:buildyard.inputs` says what the image is made from.
"""

import json
import os
import sys
import time
from pathlib import Path

from pipeline.scripts.inputs import Image, expected_hashes, hashed, own_hashes
from pipeline.scripts.registry import crane, labels, pipeline_number

SECONDS = 15  # between two questions to the registry


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def built_here(image: Image) -> str:
    """The image that this pipeline has built; empty if it has not."""
    digest = Path(f".buildyard/{image['name']}.digest")
    repository = image["repository"] + ("" if os.environ.get("BUILDYARD_TIER") == "protected" else review_suffix)
    return f"{repository}@{digest.read_text().strip()}" if digest.exists() else ""


def current(image: Image) -> str:
    """The published image, when it is what this commit gives, or newer."""
    reference = f"{image['repository']}:{latest}"
    end = time.monotonic() + 60 * min(image["minutes"], images[-1]["minutes"] / 2)
    while True:
        digest = crane("digest", reference, unless="MANIFEST_UNKNOWN")
        said = labels(f"{image['repository']}@{digest}") if digest else {}
        inputs = said.get("buildyard.inputs")
        if inputs == expected[image["name"]]:
            return f"{image['repository']}@{digest}"
        if (pipeline_number(said, os.environ["CI_PROJECT_ID"]) or 0) > int(os.environ["CI_PIPELINE_IID"]):
            say(f"{reference} is of a newer pipeline, which builds this image again.")
            return f"{image['repository']}@{digest}"
        if not inputs or time.monotonic() > end:
            start = " and ".join(image["jobs"])
            sys.exit(
                f"{reference} is not what this commit's {image['name']} gives. If an older pipeline is still building "
                f"it, retry this job afterwards. Else start {start} in this pipeline, then retry this job."
            )
        say(f"Waiting for an older pipeline to publish {reference}, which is not yet what this commit gives.")
        time.sleep(SECONDS)


default_branch, latest, review_suffix, *texts = sys.argv[1:]
images: list[Image] = [json.loads(text) for text in texts]
on_default_branch = os.environ.get("CI_COMMIT_BRANCH") == default_branch
expected = expected_hashes(images, ".", "HEAD") if on_default_branch else {}
inputs = {}
for image in images[:-1]:
    if image["name"] in images[-1]["on"]:
        base = built_here(image)
        if not base:
            base = current(image) if on_default_branch else f"{image['repository']}:{latest}"
        if on_default_branch:
            inputs[image["name"]] = labels(base).get("buildyard.inputs", "")
        say(f"FROM {image['name']} is {base}")
        print(f"--opt context:{image['name']}=docker-image://{base}")
if on_default_branch:
    own = own_hashes(images[-1:], ".", "HEAD")[images[-1]["name"]]
    print(f"--opt label:buildyard.inputs={hashed(own, dict(sorted(inputs.items())))}")
