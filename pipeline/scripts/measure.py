"""Measure a build: the size of the image that a job pushed, what it grew by, and how many steps came from the cache.

Arguments: the tag that moves, the file of the metrics report, the address of a Prometheus Pushgateway or nothing, then

- `before REPOSITORY`: print the size of the published image. A job asks for it while BuildKit runs.
- `after NAME PUSHED LOG BEFORE`: print and report. PUSHED is the pushed image with its digest, LOG the file of
  BuildKit's log, and BEFORE a file with what the other command printed.

The same values are a metrics report: https://docs.gitlab.com/ci/testing/metrics_reports/
A value that cannot be read or pushed fails no job.
"""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_STEP = re.compile(r"#(\d+) \[(?:[^\]]* )?\d+/\d+\] (?!FROM )")
_CACHED = re.compile(r"#(\d+) CACHED$")
_PUSH_SECONDS = 5


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
            return manifest(f"{reference.rpartition(':')[0]}@{child['digest']}")
    return found if found and "layers" in found else None


def compared(now: int, before: str, latest: str) -> str:
    """The difference to the published image, whose size or the reason why it is unknown is `before`."""
    if not before.isdigit():
        return before or f"no {latest} to compare with"
    grown = now - int(before)
    return f"{grown / 1e6:+.1f} MB ({grown / int(before):+.1%}) against {latest}"


def steps(log: Iterable[str]) -> tuple[int, int]:
    """The steps of a Dockerfile that a build had, by BuildKit's log, and how many of them came from the cache.

    The stages' base images are no steps.
    """
    ran: dict[str, bool] = {}
    for line in log:
        if step := _STEP.match(line):
            ran.setdefault(step[1], False)
        elif (cached := _CACHED.match(line.rstrip())) and cached[1] in ran:
            ran[cached[1]] = True
    return len(ran), sum(ran.values())


def exposition(values: Mapping[str, int], labels: Mapping[str, str]) -> Iterator[str]:
    """The values in OpenMetrics' text format, which the Pushgateway reads too."""
    text = ",".join(f'{name}="{value}"' for name, value in labels.items())
    for name, value in values.items():
        yield f"# TYPE {name} gauge"
        yield f"{name}{{{text}}} {value}" if text else f"{name} {value}"


def push(gateway: str, values: Mapping[str, int], labels: Mapping[str, str]) -> None:
    """Replace the image's values in a Pushgateway.

    The path groups them: https://github.com/prometheus/pushgateway#url
    """
    import urllib.request  # takes 20 ms, so only jobs that push wait for it

    path = "".join(
        f"/{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode()}" for name, value in labels.items()
    )
    body = "\n".join([*exposition(values, {}), ""])
    url = f"{gateway.rstrip('/')}/metrics/job/buildyard{path}"
    # The settings allow only http and https.
    request = urllib.request.Request(url, data=body.encode(), method="PUT")  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=_PUSH_SECONDS).close()  # noqa: S310
    except OSError as error:
        print(f"Could not push metrics to {gateway}: {error}. Is its address in the stack's network.allow?")


def ask_before(reference: str) -> None:
    """Print the published image's size, nothing if there is no such image, or why that is unknown."""
    try:
        found = published(reference, os.environ["BUILDYARD_PLATFORM"])
        print(size(found) if found else "")
    except UnreadableError as error:
        print(error)


def report(latest: str, file: str, gateway: str, name: str, pushed: str, log: str, before: str) -> None:
    """Print the values, and write and push them."""
    architecture = os.environ["BUILDYARD_ARCHITECTURE"]
    labels = {"image": name, "architecture": architecture}
    with Path(log).open(errors="replace") as lines:
        all_steps, cached = steps(lines)
    values = {"image_build_steps": all_steps, "image_build_cached_steps": cached}
    print(f"{name} for {architecture}: {cached} of {all_steps} build steps came from the cache.")
    try:
        built = manifest(pushed)
        if not built:
            raise UnreadableError(f"The registry has no {pushed}, so its size is unknown.")
        now = size(built)
        values["image_size_bytes"] = now
        difference = compared(now, Path(before).read_text().strip(), latest)
        print(f"{name} for {architecture} has {now / 1e6:.1f} MB, compressed: {difference}.")
    except UnreadableError as error:
        print(error)
    Path(file).write_text("\n".join([*exposition(values, labels), "# EOF", ""]))
    if gateway:
        push(gateway, values, {"project": os.environ["CI_PROJECT_PATH"], **labels})


if __name__ == "__main__":
    tag, metrics, pushgateway, command, *rest = sys.argv[1:]
    if command == "before":
        ask_before(f"{rest[0]}:{tag}")
    else:
        report(tag, metrics, pushgateway, *rest)
