"""A check that the sandbox's providers talk to this machine only."""

from ipaddress import ip_address
from urllib.parse import urlsplit


class NotTheSandboxError(Exception):
    """A configuration that leads to a real service."""


def require_loopback(url: str, setting: str) -> str:
    """Return the URL, given by `setting`, if it leads to this machine; raise `NotTheSandboxError` otherwise."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or _is_loopback(host):
        return url
    raise NotTheSandboxError(
        f"{setting} is {url}, which is not the sandbox's: its providers talk to this machine only. "
        "Deploy to a real environment with the pulumi command and the real providers."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
