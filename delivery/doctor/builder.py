"""Whether the image that jobs run in is there, for every architecture.

The registry is asked as a node's container runtime asks it, since ECR's API for the provider does not tell which
architectures an image has.
Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
"""

import re
from collections.abc import Sequence
from typing import Any

import requests

from delivery.doctor.outputs import Deployed
from delivery.doctor.questions import Refused, Registry
from delivery.doctor.report import Check, failed, noticed, passed, skipped
from stacks.architecture import Architecture
from stacks.settings import Settings

_TITLE = "Builder image"
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_IMAGES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_SECONDS = 30
_REFERENCE = re.compile(r"(?P<host>[^/]+)/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?")


def check_builder_image(settings: Settings, deployed: Deployed, registry: Registry | Refused | None) -> Check:
    """Ask the stack's registry for the image."""
    image = deployed.builder_image
    found = _REFERENCE.fullmatch(image)
    if found is None or found["host"] != deployed.registry_host:
        return noticed(
            _TITLE,
            f"{image} is in another registry than the stack's, which nobody asked",
            "A test build shows whether nodes can pull it: --build.",
        )
    if registry is None:
        return skipped(_TITLE, "the stack was not deployed")
    if isinstance(registry, Refused):
        return failed(_TITLE, registry.reason, "Use credentials that may log in to ECR (ecr:GetAuthorizationToken).")
    path = f"{found['repository']}/manifests/{found['digest'] or found['tag'] or 'latest'}"
    try:
        answer = requests.get(
            f"{registry.url}/v2/{path}",
            auth=(registry.user, registry.password),
            headers={"Accept": ", ".join([*_INDEXES, *_IMAGES])},
            timeout=_SECONDS,
        )
        return _read(image, settings.architectures, answer)
    except (requests.RequestException, ValueError) as error:
        return failed(_TITLE, f"The registry does not answer: {error}", "Check the network to ECR, then try again.")


def _read(image: str, architectures: Sequence[Architecture], answer: requests.Response) -> Check:
    match answer.status_code:
        case requests.codes.ok:
            return _check_architectures(image, architectures, answer.json())
        case requests.codes.not_found:
            return failed(
                _TITLE,
                f"{image} does not exist, so no job can start",
                "Build and push it as images/builder/README.md says, or set buildyard:runners.builder-image.",
            )
        case requests.codes.unauthorized | requests.codes.forbidden:
            return failed(
                _TITLE,
                f"The registry refuses to show {image}: {_message(answer)}",
                "Use credentials that may read the repository (ecr:BatchGetImage).",
            )
        case status:
            return failed(_TITLE, f"The registry answers with {status}: {_message(answer)}", "Try again later.")


def _check_architectures(image: str, wanted: Sequence[Architecture], manifest: Any) -> Check:
    children = manifest.get("manifests") if isinstance(manifest, dict) else None
    if children is None:
        if len(wanted) > 1:
            return failed(
                _TITLE,
                f"{image} is an image for one architecture, and the stack has nodes of {len(wanted)}",
                "Build it for all of them, as images/builder/README.md says.",
            )
        return noticed(_TITLE, f"{image} does not say its architecture", "A test build shows whether it runs: --build.")
    there = {
        f"{platform.get('os')}/{platform.get('architecture')}"
        for child in children
        if isinstance(child, dict) and isinstance(platform := child.get("platform"), dict)
    }
    missing = [str(each) for each in wanted if each.platform not in there]
    if missing:
        return failed(
            _TITLE,
            f"{image} has no image for {' and '.join(missing)}, so jobs of that architecture cannot start",
            "Build it for all architectures, as images/builder/README.md says.",
        )
    return passed(_TITLE, f"{image.partition('/')[2]}, for {' and '.join(map(str, wanted))}")


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["errors"][0]["message"])
    except (ValueError, LookupError, TypeError):
        return answer.reason or "no reason given"
