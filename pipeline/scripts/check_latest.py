"""Check that the tag that moves with the default branch is what the newest commit gives, for all images of the project.

Arguments: the tag, and the images as JSON, each after those that it is built on. Another pipeline may still be building
one: the job waits for it as long as such a build may take. Every pipeline answers for what it has published, and for
what its own commit should have changed; what newer commits change is checked by their own pipelines.
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from pipeline.scripts.inputs import Image, expected_hashes, git
from pipeline.scripts.registry import labels, pipeline_number

SECONDS = 30  # between two looks
AT_ONCE = 8  # questions to the registry


def fetch() -> tuple[dict[str, str], dict[str, str], bool]:
    """The hashes of the branch's newest commit, those of this pipeline's commit, and whether these are one commit."""
    with tempfile.TemporaryDirectory() as directory:
        git(directory, "init", "--quiet", "--bare")
        # Trees are enough. The address has the job's token in it, which is not for a command line.
        os.environ.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="remote.origin.url")
        os.environ["GIT_CONFIG_VALUE_0"] = os.environ["CI_REPOSITORY_URL"]
        wanted = (f"refs/heads/{branch}:refs/heads/newest", os.environ["CI_COMMIT_SHA"])
        git(directory, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", *wanted)
        head = git(directory, "rev-parse", "refs/heads/newest").strip()
        newest, own = (expected_hashes(images, directory, commit) for commit in (head, os.environ["CI_COMMIT_SHA"]))
        return newest, own, head == os.environ["CI_COMMIT_SHA"]


def look_up(image: Image) -> tuple[str, int]:
    """The hash in the published image's label, and the number of its pipeline."""
    said = labels(f"{image['repository']}:{latest}")
    return said.get("buildyard.inputs", ""), pipeline_number(said, os.environ["CI_PROJECT_ID"]) or 0


def stale(suspects: list[Image]) -> list[Image]:
    """Those of the images for which this pipeline has to answer."""
    newest, own, alone = fetch()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found.update(zip((image["name"] for image in images), pool.map(look_up, images), strict=True))
    # No pipeline is of a newer commit than the newest. What claims to be newer was written by something else.
    newer: set[str] = set()
    for image in () if alone else images:
        if found[image["name"]][1] > own_number or newer & set(image["on"]):
            newer.add(image["name"])
    return [
        image
        for image in suspects
        for name in [image["name"]]
        for inputs, number in [found[name]]
        if name not in newer and inputs != newest[name] and (inputs != own[name] or number == own_number)
    ]


latest, *texts = sys.argv[1:]
branch, own_number = os.environ["CI_COMMIT_BRANCH"], int(os.environ["CI_PIPELINE_IID"])
images: list[Image] = [json.loads(text) for text in texts]
found: dict[str, tuple[str, int]] = {}
started = time.monotonic()
left = stale(images)
# An image that does not say what it is made from was never built, or by a version that wrote no such label. One that
# claims a newer pipeline although there is none will not change either.
while any(found[image["name"]][0] and found[image["name"]][1] <= own_number for image in left):
    if time.monotonic() - started > 60 * max(image["minutes"] for image in left):
        break
    names = ", ".join(image["name"] for image in left)
    print(f"Not yet what the newest commit gives, waiting for other pipelines: {names}", flush=True)
    time.sleep(SECONDS)
    left = stale(left)
for image in left:
    inputs, number = found[image["name"]]
    held = f"is of pipeline {number}, and not what {branch} gives" if inputs else "does not say what it is made from"
    advice = f"start {' and '.join(image['jobs'])} in the newest pipeline"
    if number > own_number:
        advice = f"no newer pipeline has built it, so somebody else wrote this tag. Delete it, then {advice}"
    print(f"{image['repository']}:{latest} {held}: {advice}.")
if left:
    sys.exit(
        f"Or run a new pipeline for {branch} with BUILDYARD_IMAGES={','.join(image['name'] for image in left)}. "
        "Then retry this job."
    )
print(f"The tag {latest} of {len(images)} images is what {branch} gives, or of a newer pipeline, which checks it.")
