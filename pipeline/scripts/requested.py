"""Check the names in BUILDYARD_IMAGES. Arguments: the names of all images of the project."""

import difflib
import os
import re
import sys

known = sys.argv[1:]
for name in re.split(r"[, ]+", os.environ.get("BUILDYARD_IMAGES", "").strip(", ")):
    if name not in ("", "*", *known):
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        sys.exit(f"BUILDYARD_IMAGES names {name}, and the project has no such image.{meant}")
