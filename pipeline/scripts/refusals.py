"""Say which setting gives the right that a registry refused.

Arguments: the stack's registry, its settings as a JSON object, and the file with BuildKit's output.
"""

import json
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+(\.[a-z0-9-]+)+")  # AWS's regions have several domains
STEP = re.compile(r"^#(\d+) (?:\[internal\] load metadata for|resolve image config for docker-image://) ?(\S+)", re.M)
ERROR = re.compile(
    r"^#(\d+) ERROR: (.*?)^(?:#\d+ |------)", re.M | re.S
)  # the registry's own words may be in more lines
REFUSED = ("401", "403", "denied", "authoriz", "no basic auth credentials", "insufficient_scope")
LIMITED = ("429", "toomanyrequests")


def advice(image: str, reason: str) -> str:
    """The advice for a refused image, given its name without tag and BuildKit's reason; empty for other reasons."""
    host, _, repository = image.partition("/")
    if any(sign in reason for sign in LIMITED):
        key = settings["upstreams"].get(host)
        return key and f"{host} limits pulls. Pull through ECR's cache: set buildyard:registry.pull-through.{key}."
    if not any(sign in reason for sign in REFUSED):
        return ""
    if ECR.fullmatch(host):
        return of_ecr(host, repository, reason)
    if host in settings["logins"]:
        return of_login(host, settings["logins"][host])
    return f"{host} refused {repository} to a build without a login. Add {host} to buildyard:registry.logins."


def without_tag(image: str) -> str:
    """An image's name without tag and digest."""
    host, slash, repository = image.partition("/")
    return host + slash + re.split("[:@]", repository)[0]


def of_ecr(host: str, repository: str, reason: str) -> str:
    """The advice for an image in ECR."""
    wanted = repository if host == own_host else f"{host}/{repository}"
    names = (wanted, f"{host}/{repository}")
    if not any(fnmatchcase(name, pattern) for name in names for pattern in settings["pull-from"]):
        return f"Builds may not pull from {wanted}. Add it to buildyard:registry.pull-from, and deploy the stack."
    role = re.search(r"assumed-role/([^/\s]+)/", reason)
    who = f"the role {role[1]}" if role else "the build's role"
    return (
        f"{host}/{repository} is in buildyard:registry.pull-from, but its repository policy in the account "
        f"{host[:12]} does not let {who} pull. Its owner must add that."
    )


def of_login(host: str, login: dict[str, str]) -> str:
    """The advice for a host that refused a login."""
    if "password" in login:
        return (
            f"{host} refused the user {login['user']} of buildyard:registry.logins. Check the CI/CD variable "
            f"{login['password']}, and whether the user may read this image."
        )
    return (
        f"{host} refused the job's token. Add this project to the job token allowlist of the project that has the "
        "image, and check whether the person who started the job may read it."
    )


own_host, facts, output = sys.argv[1:]
settings = json.loads(facts)
text = Path(output).read_text(errors="replace")
images = {step: without_tag(image) for step, image in STEP.findall(text)}
said = {advice(images[step], reason) for step, reason in ERROR.findall(text) if step in images}
print(*sorted(filter(None, said)), sep="\n", end="\n" if any(said) else "")
