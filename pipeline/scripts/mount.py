"""Mount the layers of the images that this one is built on in its repository, so that BuildKit need not upload them.

Arguments: the repository, and BuildKit's options with these images. BuildKit itself asks for a mount only of layers
that it does not pull, and nearly every step pulls all layers under it. It uploads what is not mounted, so nothing here
fails a job.
Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository
"""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

_IMAGE = re.compile(r"context:[^=]+=docker-image://(?P<repository>[^@]+?)(?::[^:/@]+)?(?:@.+)?")
_SECONDS = 10
_AT_ONCE = 8


def asked(*command: str, said: str = "") -> Any:
    """A command's output, read as JSON; empty if it fails."""
    try:
        return json.loads(subprocess.run(command, input=said, capture_output=True, text=True).stdout)
    except ValueError:
        return {}


def mount(host: str, name: str, login: str, digest: str, source: str) -> bool:
    """Ask the registry to mount a layer. False if it does not."""
    query = urlencode({"mount": digest, "from": source})
    address = f"https://{host}/v2/{name}/blobs/uploads/?{query}"
    request = urllib.request.Request(address, data=b"", headers={"Authorization": f"Basic {login}"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - https
            return bool(answer.status == 201)
    except OSError:
        return False


def main(repository: str, options: list[str]) -> None:
    """Mount the layers of all images of the same registry."""
    host, _, name = repository.partition("/")
    layers: dict[str, str] = {}
    for option in options:
        found = _IMAGE.fullmatch(option)
        if found and found["repository"].startswith(f"{host}/"):
            reference = option.partition("=docker-image://")[2]
            manifest = asked("crane", "manifest", "--platform", os.environ["BUILDYARD_PLATFORM"], reference)
            source = found["repository"].removeprefix(f"{host}/")
            layers |= dict.fromkeys((layer["digest"] for layer in manifest.get("layers", ())), source)
    if not layers:
        return
    secret = asked("docker-credential-ecr-login", "get", said=host).get("Secret", "")
    login = base64.b64encode(f"AWS:{secret}".encode()).decode()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        mounted = sum(threads.map(lambda layer: mount(host, name, login, *layer), layers.items()))
    print(f"ECR mounts {mounted} of {len(layers)} layers of the images that this one is built on.")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
