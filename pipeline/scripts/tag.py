"""Write the pipeline's image tag to build.env as IMAGE_TAG.

Arguments: the default branch, a time zone, the tag that moves with the default branch, and the prefix of cache tags.
The tag is the Git tag in a tag pipeline, the moving tag on the default branch, and `yymmdd_HHMMSS-commit` otherwise.
The time is when the pipeline was created, so that a retry gives the same tag.
"""

import os
import re
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

default_branch, time_zone, latest, cache_prefix = sys.argv[1:]
git_tag = os.environ.get("CI_COMMIT_TAG")
if git_tag:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", git_tag):
        sys.exit(
            f"The Git tag {git_tag} cannot be an image's tag, which has at most 128 letters, digits, dots, underscores "
            "and dashes, and does not begin with a dot or dash. Tag the commit again, under such a name."
        )
    if git_tag == latest or git_tag.startswith(cache_prefix):
        sys.exit(
            f"The Git tag {git_tag} would overwrite what this pipeline keeps under that tag: {latest} and "
            f"{cache_prefix}* are reserved. Tag the commit again, under another name."
        )
    tag = git_tag
elif os.environ.get("CI_COMMIT_BRANCH") == default_branch:
    tag = latest
else:
    created = datetime.fromisoformat(os.environ["CI_PIPELINE_CREATED_AT"].replace("Z", "+00:00"))
    tag = f"{created.astimezone(ZoneInfo(time_zone)):%y%m%d_%H%M%S}-{os.environ['CI_COMMIT_SHORT_SHA']}"

Path("build.env").write_text(f"IMAGE_TAG={tag}\n")
print(f"IMAGE_TAG={tag}")
