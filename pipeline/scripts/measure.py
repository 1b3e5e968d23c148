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


class UnreadableError(Exception):
    """The registry did not answer with a manifest."""


def manifest(reference: str) -> Any:
    """A manifest or index. None if there is no such tag."""
    found = subprocess.run(["crane", "manifest", reference], capture_output=True, text=True)
    if found.returncode == 0:
        return json.loads(found.stdout)
    if "MANIFEST_UNKNOWN: " in found.stderr:
        return None
    raise UnreadableError(f"Could not read the size of {reference}: {found.stderr.strip()}")


def size(found: Any) -> int:
    """The bytes of an image's layers and configuration, as a node pulls them."""
    return sum(int(blob["size"]) for blob in [found["config"], *found["layers"]])


def published(reference: str, platform: str) -> Any:
    """The manifest of the published image for a platform. None if there is none."""
    found = manifest(reference)
    for child in (found or {}).get("manifests", ()):
        own = child.get("platform", {})
        if f"{own.get('os')}/{own.get('architecture')}" == platform:
            return manifest(f"{repository}@{child['digest']}")
    return found if found and "layers" in found else None


def compared(now: int) -> str:
    """The difference to the published image."""
    before = published(f"{repository}:{latest}", os.environ["BUILDYARD_PLATFORM"])
    if not before:
        return f"no {latest} to compare with"
    grown = now - size(before)
    return f"{grown / 1e6:+.1f} MB ({grown / size(before):+.1%}) against {latest}"


latest, report, name, repository, pushed = sys.argv[1:]
architecture = os.environ["BUILDYARD_ARCHITECTURE"]
try:
    built = manifest(pushed)
    if not built:
        raise UnreadableError(f"The registry has no {pushed}, so its size is unknown.")
    now = size(built)
    labels = f'image="{name}",architecture="{architecture}"'
    Path(report).write_text(f"# TYPE image_size_bytes gauge\nimage_size_bytes{{{labels}}} {now}\n# EOF\n")
    print(f"{name} for {architecture} has {now / 1e6:.1f} MB, compressed: {compared(now)}.")
except UnreadableError as error:
    print(error)
