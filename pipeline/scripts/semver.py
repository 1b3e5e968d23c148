"""Release an image under the tags of its minor and major version: `1.4` and `1` for the Git tag `v1.4.2`.

Arguments: what is added to the repository's name for refs that are not protected (empty if there are none), and
`check`, before the image is built, or `move` and the image's repository, after it is published.
A pre-release moves nothing, and a tag never goes back to an older version. Only protected Git tags move tags. Outside
of a Git tag's pipeline, there is nothing to do.
Source: https://semver.org/#spec-item-9
"""

import os
import re
import sys

from pipeline.scripts.registry import crane, labels

NUMBER = r"(0|[1-9][0-9]*)"


def parsed(version: str) -> tuple[tuple[int, int, int], str] | None:
    """A version's numbers and its pre-release. None if it is no semantic version with a `v`."""
    found = re.fullmatch(rf"v{NUMBER}\.{NUMBER}\.{NUMBER}(?:-([0-9A-Za-z.-]+))?", version)
    return ((int(found[1]), int(found[2]), int(found[3])), found[4] or "") if found else None


def move(reference: str, digest: str, own: tuple[int, int, int]) -> None:
    """Let a tag point to the image, unless it has a newer version."""
    present = labels(reference)
    said = present.get("org.opencontainers.image.version", "")
    other = parsed(said)
    if present and not other:
        print(f"{reference} does not say its version, and counts as older.")
    if other and other[0] > own:
        print(f"{reference} is {said} and stays, since that is newer than {version}.")
        return
    crane("tag", digest, reference.rpartition(":")[2])
    print(f"{reference} is now {version}.")


review_suffix, action, *repositories = sys.argv[1:]
version = os.environ.get("CI_COMMIT_TAG", "").rpartition("/")[2]
found = parsed(version)
if version and not found:
    sys.exit(
        f"The Git tag {os.environ['CI_COMMIT_TAG']} is no version of an image with semver: true. Tag the commit "
        "again, as v1.4.2 or v1.4.2-rc.1."
    )
if version and found and action == "move":
    numbers, prerelease = found
    if review_suffix and os.environ.get("BUILDYARD_TIER") != "protected":
        print(f"The Git tag {version} is not protected, so it moves no other tag.")
    elif prerelease:
        print(f"{version} is a pre-release, so it moves no other tag.")
    else:
        [repository] = repositories
        image = f"{repository}@{crane('digest', f'{repository}:{version}')}"
        for moving in (f"{numbers[0]}.{numbers[1]}", f"{numbers[0]}"):
            move(f"{repository}:{moving}", image, numbers)
