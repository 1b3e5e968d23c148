"""The client of GitLab, made from the provider's configuration or else from the environment."""

import os
from dataclasses import dataclass, field
from threading import Lock

from gitlab import Gitlab

from sandbox.providers.loopback import require_loopback
from sandbox.values import Properties


class ConfigurationError(Exception):
    """The configuration lacks GitLab's URL or the token."""


@dataclass(frozen=True)
class Connection:
    client: Gitlab
    # GitLab refuses overlapping commits to a project, so the provider makes one at a time, as the real one does.
    commits: Lock = field(default_factory=Lock)


def connect(configuration: Properties) -> Connection:
    base_url = _setting(configuration, "baseUrl", "GITLAB_BASE_URL")
    token = _setting(configuration, "token", "GITLAB_TOKEN")
    server = require_loopback(base_url, "gitlab:baseUrl").rstrip("/").removesuffix("/api/v4")
    return Connection(Gitlab(server, oauth_token=token, keep_base_url=True))


def _setting(configuration: Properties, name: str, variable: str) -> str:
    value = configuration.get(name) or os.environ.get(variable)
    if not value:
        raise ConfigurationError(f"The gitlab provider needs gitlab:{name} in the stack's settings, or ${variable}.")
    return str(value)
