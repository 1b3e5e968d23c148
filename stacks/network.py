"""The settings of a company's network: its certificate authorities, its proxy, and its mirrors."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from stacks import certificates
from stacks.model import Model, pattern_text
from stacks.problems import echo, refusal

_FOLDER = Path(__file__).parent
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"


def _ca_bundle(value: str) -> str:
    return certificates.bundle(value if certificates.is_pem(value) else _read(value))


def _read(name: str) -> str:
    file = _FOLDER / name
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", name) or not file.resolve().is_relative_to(_FOLDER.resolve()):
        raise refusal(
            f"{echo(name)} is neither PEM nor a file in stacks/",
            "Use a path relative to stacks/, such as company-ca.pem.",
        )
    try:
        with file.open("rb") as content:
            return content.read(certificates.MAX_CHARACTERS + 1).decode("ascii", errors="replace")
    except OSError as error:
        raise refusal(
            f"stacks/{name} cannot be read: {error.strerror}", "Put the file beside the stack's, or correct the path."
        ) from None


CaBundle = Annotated[
    str,
    AfterValidator(_ca_bundle),
    Field(json_schema_extra={"examples": ["company-ca.pem"]}),
]
"""Certificates in PEM. The settings name a file or contain the text."""


def _proxy_url(url: str) -> str:
    if "@" in url:
        raise refusal(
            "has a user or a password, which every build could read",
            "Let the proxy accept the addresses of the build nodes instead, and write only its host and port.",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    beyond_host = parts.path not in ("", "/") or parts.query or parts.fragment
    # urlsplit drops line breaks.
    if (
        re.search("[^!-~]", url)
        or parts.scheme not in ("http", "https")
        or port == 0
        or beyond_host
        or not _is_host(parts.hostname or "")
    ):
        raise refusal(f"{echo(url)} is not the URL of a proxy", "Use, for example, http://proxy.example.com:3128.")
    return url.rstrip("/")


def _is_host(text: str) -> bool:
    return bool(re.fullmatch(_HOST, text)) or _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _direct(text: str) -> str:
    host, colon, port = text.rpartition(":")
    name = host if colon and port.isdecimal() else text
    if re.fullmatch(rf"\.?{_HOST}", name) and not re.fullmatch(r"[0-9.]+", name):
        return text
    try:
        ip_network(name)
    except ValueError:
        hint = (
            f"Write {text[1:]}."
            if text.startswith("*.")
            else "Use a host, a domain such as .example.com, or a network."
        )
        raise refusal(f"{echo(text)} is not a host, a domain or a network", hint) from None
    return text


ProxyUrl = Annotated[
    str,
    Field(min_length=1, max_length=512, json_schema_extra={"examples": ["http://proxy.example.com:3128"]}),
    AfterValidator(_proxy_url),
]
Direct = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_direct)]


class Proxy(Model):
    """The HTTP proxy of runner managers, jobs and their builds."""

    http: ProxyUrl | None = None
    """For `http://` addresses."""
    https: ProxyUrl | None = None
    """For `https://` addresses: GitLab, ECR and other registries."""
    no_proxy: tuple[Direct, ...] = ()
    """Hosts, domains (`.example.com`) and networks that are reached without the proxy. The cluster's services and the
    node's agents always are."""

    @model_validator(mode="after")
    def _names_a_proxy(self) -> "Proxy":
        if not self.urls:
            raise refusal("names no proxy", "Set http, https or both, or remove the key.")
        return self

    @property
    def urls(self) -> tuple[str, ...]:
        """The proxies, each once."""
        return tuple(dict.fromkeys(filter(None, (self.http, self.https))))


def host_and_port(url: str) -> tuple[str, int]:
    """A proxy's host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _chart(url: str) -> str:
    if "@" in url:
        raise refusal(
            "has a user or a password, which the stack's state would contain",
            "Use a mirror without a login, or `helm registry login` where the stack is deployed.",
        )
    return url.rstrip("/")


def _whole_repository(image: str) -> str:
    if re.search(r":[^/]*$|@", image):
        raise refusal(
            f"{echo(image)} has a tag or a digest, but Buildyard sets the runner's version",
            "Remove what begins with ':' or '@', and mirror the tags that docs/network.md lists.",
        )
    return image


ChartUrl = Annotated[
    str,
    pattern_text(
        r"^(?:https|oci)://[^\s{}?#]+$",
        "Use a repository of charts, https://charts.example.com, or the chart in a registry, "
        "oci://registry.example.com/charts/gitlab-runner.",
        max_length=512,
    ),
    AfterValidator(_chart),
]
ImageRepository = Annotated[
    str,
    pattern_text(
        r"^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost)(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+(?:[:@][A-Za-z0-9_.:-]*)?$",
        "Use an image's name with its registry, such as registry.example.com/gitlab-org/gitlab-runner.",
        max_length=512,
    ),
    AfterValidator(_whole_repository),
]


class Mirrors(Model):
    """The company's copies of what the runners are made of. The image that jobs run in is `runners.builder-image`."""

    chart: ChartUrl | None = None
    """The repository of the chart `gitlab-runner`, `https://`; or the chart itself in a registry, `oci://`."""
    runner_image: ImageRepository | None = None
    """The manager's image, without a tag. Default: `registry.gitlab.com/gitlab-org/gitlab-runner`."""
    helper_image: ImageRepository | None = None
    """The image of the container that clones the repository, without a tag. Default: GitLab's."""
