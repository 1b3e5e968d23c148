"""GitLab's REST API v4 on this machine, as far as Buildyard and its users call it, with real Git repositories."""

from sandbox.services.gitlab.app import create_app
from sandbox.services.gitlab.store import access_token

__all__ = ["access_token", "create_app"]
