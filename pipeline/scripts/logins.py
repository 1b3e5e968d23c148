"""Add logins to the job's Docker settings, in $DOCKER_CONFIG/config.json.

Argument: the logins of the stack's settings, as a JSON object by host; empty if there are none. They come first, then
those of DOCKER_AUTH_CONFIG for hosts that have none yet. A login without its password ends the job.
"""

import base64
import json
import os
import sys
from pathlib import Path

KEYS = {"docker.io": "https://index.docker.io/v1/"}  # by which Docker's settings know a host
ALIASES = {"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io"}
PROTECTED = "GitLab passes a protected variable only to pipelines of protected branches and tags."


def host_of(key: str) -> str:
    """The host in a key of Docker's settings, which may be a URL or name a repository."""
    host = key.partition("://")[2] or key
    host = host.partition("/")[0].lower()
    return ALIASES.get(host, host)


def variable(name: str, host: str) -> str:
    """The value of a CI/CD variable, or the content of its file. If it is empty, the job ends."""
    value = os.environ.get(name, "")
    # GitLab Runner writes a variable of the type File to this path.
    if value and value == f"{os.environ.get('CI_PROJECT_DIR')}.tmp/{name}" and Path(value).is_file():
        value = Path(value).read_text().strip()
    if not value:
        sys.exit(
            f"The CI/CD variable {name}, for the login to {host}, is empty or not set. Set it in the project or one of "
            f"its groups. {PROTECTED}"
        )
    return value


def job_token(host: str) -> str:
    """The job's token. GitLab's own registry gets it, and no other host."""
    registry = os.environ.get("CI_REGISTRY", "")
    if not registry:
        sys.exit(
            f"CI_REGISTRY is not set: this project has no container registry for the job's token to log in to {host}. "
            "Enable it in the project's settings, or remove buildyard:registry.logins." + host
        )
    if registry.lower() != host:
        sys.exit(
            f"The job's token is not for {host}: GitLab's container registry is {registry}. Correct the host in "
            "buildyard:registry.logins."
        )
    return variable("CI_JOB_TOKEN", host)


def login(host: str, settings: dict[str, str]) -> tuple[str, str]:
    """The user and the password of a host in the stack's settings."""
    if "password" in settings:
        return settings["user"], variable(settings["password"], host)
    return "gitlab-ci-token", job_token(host)


def from_variable() -> dict[str, object]:
    """The logins in DOCKER_AUTH_CONFIG, by key."""
    try:
        found = json.loads(os.environ.get("DOCKER_AUTH_CONFIG") or "{}")["auths"]
        return {str(key): value for key, value in found.items() if isinstance(value, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        if os.environ.get("DOCKER_AUTH_CONFIG"):
            print("Ignored DOCKER_AUTH_CONFIG: it is not a JSON object with the key `auths`.", file=sys.stderr)
        return {}


file = Path(os.environ["DOCKER_CONFIG"], "config.json")
config = json.loads(file.read_text())
auths: dict[str, object] = {}
for host, settings in json.loads(sys.argv[1] or "{}").items():
    text = ":".join(login(host, settings))
    auths[KEYS.get(host, host)] = {"auth": base64.b64encode(text.encode()).decode()}
ours = {*config["credHelpers"], *map(host_of, auths)}
for key, value in from_variable().items():
    if host_of(key) in ours:
        print(
            f"Ignored the login to {host_of(key)} in DOCKER_AUTH_CONFIG: the stack's own comes first.", file=sys.stderr
        )
    else:
        auths[key] = value
file.write_text(json.dumps({**config, "auths": auths}))
