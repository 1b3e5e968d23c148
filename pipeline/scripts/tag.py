"""Print the pipeline's image tags, as lines for a dotenv report, or check them and print the commit's time.

Arguments: the default branch, a time zone, the separator between a Git tag's prefix and the image's tag (empty if Git
tags have no prefix), the tag that moves with the default branch, the beginning of the default branch's versions, the
patterns of tags that a Git tag must not match, and at last `tags` or `commit-time`, in seconds since 1970.
IMAGE_VERSION is the tag that never moves: the Git tag, `BRANCH-yymmdd_HHMMSS-commit` on the default branch, and
`yymmdd_HHMMSS-commit` otherwise. IMAGE_TAG is the same, except on the default branch, where it is the tag that moves.
The time is when the pipeline was created, so that a retry gives the same tags.
"""

import os
import re
import sys
from datetime import datetime
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo


def time_of(variable: str) -> datetime:
    """A time that GitLab gives, such as 2026-01-02T11:04:05+08:00."""
    return datetime.fromisoformat(os.environ[variable].replace("Z", "+00:00"))


default_branch, time_zone, separator, latest, version_prefix, *reserved, wanted = sys.argv[1:]
git_tag = os.environ.get("CI_COMMIT_TAG")
if git_tag:
    tag = version = git_tag.rpartition(separator)[2] if separator else git_tag
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag):
        sys.exit(
            f"The Git tag {git_tag} cannot be an image's tag, which has at most 128 letters, digits, dots, underscores "
            "and dashes, and does not begin with a dot or dash. Tag the commit again, under such a name."
        )
    if any(fnmatchcase(tag, pattern) for pattern in reserved):
        sys.exit(
            f"The Git tag {git_tag} looks like a tag that this pipeline moves, or that expires: "
            f"{', '.join(reserved)} are reserved. Tag the commit again, under another name."
        )
else:
    created = time_of("CI_PIPELINE_CREATED_AT")
    version = f"{created.astimezone(ZoneInfo(time_zone)):%y%m%d_%H%M%S}-{os.environ['CI_COMMIT_SHORT_SHA']}"
    tag = version
    if os.environ.get("CI_COMMIT_BRANCH") == default_branch:
        tag, version = latest, f"{version_prefix}{version}"

if wanted == "commit-time":
    print(int(time_of("CI_COMMIT_TIMESTAMP").timestamp()))
else:
    print(f"IMAGE_TAG={tag}\nIMAGE_VERSION={version}")
