"""Refuse a Dockerfile with a stage that has the name of a dependency or named context.

Arguments: the Dockerfile, and these names. BuildKit would silently use the dependency instead of the stage.
"""

import re
import sys
from pathlib import Path

from pipeline.scripts.dockerfile import instructions

dockerfile, *given = sys.argv[1:]
if not Path(dockerfile).is_file():
    sys.exit(0)  # BuildKit says so
for instruction in instructions(Path(dockerfile).read_text(encoding="utf-8-sig", errors="replace")):
    stage = re.fullmatch(r"FROM\s+.*\sAS\s+(\S+)", instruction, re.IGNORECASE)
    if stage and stage[1].lower() in given:
        name = stage[1]
        sys.exit(
            f"{dockerfile} has a stage {name}, and {name.lower()} is also in the image's depends-on or contexts: "
            f"BuildKit would use that instead of the stage. Rename the stage: {instruction}"
        )
