"""Questions to the registry, which crane asks. The registry's throttling and outages are waited for."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Two minutes: ECR throttles by the second, and an outage that a load balancer hides takes less.
PAUSES = (1, 2, 4, 8, 15, 30, 60)
PASSING = re.compile(
    r"\bTOOMANYREQUESTS\b|\bThrottlingException\b|[Ss]tatus ?[Cc]ode:? (408|429|5\d\d)\b|connection reset by peer"
    r"|i/o timeout|Client\.Timeout|TLS handshake timeout|context deadline exceeded|unexpected EOF|: EOF$|no such host"
)
UNAUTHORIZED = re.compile(r"401 Unauthorized|no basic auth credentials|authorization failed", re.IGNORECASE)
TAG_EXISTS = "TAG_INVALID"
"""ECR's answer to a write of an immutable tag, also of the same image: so after a write whose answer was lost."""


def crane(*arguments: str, unless: str = "", exact: bool = False) -> str:
    """Run a crane command: its output, stripped unless `exact`. If it fails, the job ends with its message.

    The output is empty if the registry answers with the error code `unless`.
    """
    for pause in (*PAUSES, None):
        done = subprocess.run(["crane", *arguments], capture_output=True, text=True)
        said = done.stderr.strip()
        if done.returncode == 0:
            return done.stdout if exact else done.stdout.strip()
        if unless and re.search(rf"\b{unless}: ", said):
            return ""
        no_token = UNAUTHORIZED.search(said) and PASSING.search(helper_error())
        if pause is None or not (PASSING.search(said) or no_token):
            break
        print(f"The registry did not answer; next try in {pause} s: {said.splitlines()[-1]}", flush=True)
        time.sleep(pause)
    if "NAME_UNKNOWN: " in said:
        sys.exit(f"{said}\nThe registry has no such repository: deploy the stack, then retry this job.")
    sys.exit(f"{said}\ncrane {arguments[0]} failed; see its message above. Correct the cause, then retry this job.")


def helper_error() -> str:
    """The last error in the log of ECR's credential helper, which tells others only that there are no credentials."""
    log = Path(os.environ.get("AWS_ECR_CACHE_DIR") or Path.home() / ".ecr", "log", "ecr-login.log")
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if "level=error" in line), "")


def manifest(reference: str) -> dict[str, Any]:
    """The manifest or the index under a tag or digest; empty if there is no such tag."""
    text = crane("manifest", reference, unless="MANIFEST_UNKNOWN")
    return json.loads(text) if text else {}


def config(reference: str) -> dict[str, Any]:
    """An image's configuration."""
    found: dict[str, Any] = json.loads(crane("config", reference))
    return found


def labels(reference: str) -> dict[str, str]:
    """An image's labels; of an index, those of its image for linux/amd64. Empty if there is no such image."""
    text = crane("config", reference, unless="MANIFEST_UNKNOWN")
    return dict(json.loads(text).get("config", {}).get("Labels") or {}) if text else {}


def pipeline_number(labels: dict[str, str], project: str) -> int | None:
    """The number of the pipeline of this project that built an image; None if the labels name none.

    It is GitLab's `CI_PIPELINE_IID`, which counts a project's pipelines. A project that was created anew counts anew.
    """
    found = re.fullmatch(r"([0-9]{1,18})/([0-9]{1,18})", labels.get("buildyard.pipeline", ""))
    return int(found[2]) if found and found[1] == project else None
