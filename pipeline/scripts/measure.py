"""Print the compressed size of the image that a job pushed, and the difference to the published one.

Arguments: the tag that moves, the file of the metrics report, the image's name, its published repository, and the
pushed image with its digest. The size is also a metrics report: https://docs.gitlab.com/ci/testing/metrics_reports/
A size that cannot be read fails no job.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def manifest(reference: str) -> Any:
    """A manifest. None if there is none, or the registry did not answer."""
    found = subprocess.run(["crane", "manifest", reference], capture_output=True, text=True)
    return json.loads(found.stdout) if found.returncode == 0 else None


def size(found: Any) -> int:
    """The bytes of an image's layers and configuration, as a node pulls them."""
    return sum(int(blob["size"]) for blob in [found["config"], *found["layers"]])


def published(reference: str, platform: str) -> Any:
    """The manifest of the published image for a platform."""
    found = manifest(reference)
    for child in (found or {}).get("manifests", ()):
        own = child.get("platform", {})
        if f"{own.get('os')}/{own.get('architecture')}" == platform:
            return manifest(f"{reference.rpartition(':')[0]}@{child['digest']}")
    return found if found and "layers" in found else None


latest, report, name, repository, pushed = sys.argv[1:]
architecture = os.environ["BUILDYARD_ARCHITECTURE"]
built = manifest(pushed)
if not built:
    print(f"Could not read the size of {pushed}.")
    sys.exit()
bytes_now = size(built)
labels = f'image="{name}",architecture="{architecture}"'
Path(report).write_text(f"# TYPE image_size_bytes gauge\nimage_size_bytes{{{labels}}} {bytes_now}\n# EOF\n")
before = published(f"{repository}:{latest}", os.environ["BUILDYARD_PLATFORM"])
if before:
    grown = bytes_now - size(before)
    change = f"{grown / 1e6:+.1f} MB ({grown / size(before):+.1%}) against {latest}"
else:
    change = f"no {latest} to compare with"
print(f"{name} for {architecture} has {bytes_now / 1e6:.1f} MB, compressed: {change}.")
