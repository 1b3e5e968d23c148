"""Publish what an image's build jobs pushed, under the tag IMAGE_TAG.

Arguments: the tag that moves, what is added to the repository's name for refs that are not protected, the image's
name, its repository, and each build as ARCHITECTURE=PLATFORM.
Several architectures are joined in an index; a single one is tagged as it is. If the tag already has the same content,
nothing is changed, so that a retry succeeds. If it has other content, the job fails, except for the tag that moves,
which never goes back to an older pipeline's image. Writes the digest to .buildyard/NAME.digest, and IMAGE_TAG,
IMAGE_URL and IMAGE_DIGEST to build.env.
"""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

CLOCKS = timedelta(hours=1)  # by which GitLab's clock and the job's may differ


def crane(*arguments: str) -> str:
    """Run a crane command and return its output. If it fails, the job ends, after crane's own message."""
    done = subprocess.run(["crane", *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"crane {arguments[0]} failed; see its message above. The job stopped there.")
    return done.stdout.strip()


def built_digest(architecture: str, wanted: str) -> str:
    """The digest that a build job left, after a check that the image is for the wanted platform."""
    metadata = Path(f".buildyard/{name}-{architecture}.json")
    if not metadata.exists():
        sys.exit(f"build-{name}:{architecture} left no digest: let it succeed first, then retry this job.")
    digest: str = json.loads(metadata.read_text())["containerimage.digest"]
    if platform(f"{repository}@{digest}") != wanted:
        sys.exit(f"build-{name}:{architecture} built an image that is not for {wanted}: {digest}")
    return digest


def platform(reference: str) -> str:
    """The platform in an image's configuration."""
    return _platform(json.loads(crane("config", reference)))


def _platform(said: dict[str, str]) -> str:
    return f"{said.get('os')}/{said.get('architecture')}"


def published(reference: str) -> dict[str, str]:
    """The digest of each platform under a tag; empty if the tag does not exist."""
    found = subprocess.run(["crane", "manifest", reference], capture_output=True, text=True)
    if found.returncode:
        if not any(answer in found.stderr for answer in ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404")):
            sys.exit(f"Could not check whether {reference} exists: {found.stderr.strip()}. Retry this job.")
        return {}
    manifest = json.loads(found.stdout)
    if "manifests" in manifest:
        return {_platform(child.get("platform", {})): child["digest"] for child in manifest["manifests"]}
    return {platform(reference): crane("digest", reference)}


def created(digest: str) -> datetime:
    """The creation time of the pipeline that built an image, from the image's label.

    An image without a usable time is older than any other: a wrong label must not keep the tag from moving for ever.
    """
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    labels = json.loads(crane("config", f"{repository}@{digest}")).get("config", {}).get("Labels") or {}
    said = str(labels.get("org.opencontainers.image.created", ""))
    try:
        time = datetime.fromisoformat(said.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        print(f"{repository}@{digest} has no readable time in its label `created`, and counts as older: {said[:40]!r}.")
        return oldest
    if time > datetime.now(timezone.utc) + CLOCKS:
        print(f"{repository}@{digest} has a time in the future in its label `created`, and counts as older: {time}.")
        return oldest
    return time


latest, review_suffix, name, repository, *builds = sys.argv[1:]
if os.environ.get("BUILDYARD_TIER") != "protected":
    repository += review_suffix
tag = os.environ.get("IMAGE_TAG")
if not tag:
    sys.exit("container-get-tag set no IMAGE_TAG: let it succeed first, then retry this job.")
reference = f"{repository}:{tag}"
platforms = dict(build.split("=", 1) for build in builds)
built = {wanted: built_digest(architecture, wanted) for architecture, wanted in platforms.items()}

present = published(reference)
if present == built:
    print(f"{reference} is published already.")
elif present and tag != latest:
    sys.exit(
        f"{reference} holds another image, {crane('digest', reference)}, and a published tag is never moved. "
        "Release this one under a new Git tag."
    )
elif present and created(next(iter(present.values()))) > created(next(iter(built.values()))):
    print(
        f"{reference} is already a newer pipeline's image and stays. To go back to an older image, revert the commit."
    )
else:
    sources = [f"{repository}@{digest}" for digest in built.values()]
    if len(sources) > 1:
        crane("index", "append", "--tag", reference, *(f"--manifest={source}" for source in sources))
    else:
        crane("tag", sources[0], tag)
    if published(reference) != built:
        sys.exit(
            f"{reference} is not what this job pushed: another pipeline published it at the same time. Retry this job."
        )

digest = crane("digest", reference)
Path(".buildyard", f"{name}.digest").write_text(f"{digest}\n")
report = f"IMAGE_TAG={tag}\nIMAGE_URL={repository}\nIMAGE_DIGEST={digest}\n"
Path("build.env").write_text(report)
print(report, end="")
