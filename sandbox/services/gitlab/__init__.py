"""GitLab on this machine: the part of its REST API v4 that Buildyard and its users call, over real git repositories."""

from sandbox.services.gitlab.app import create_app
from sandbox.services.gitlab.store import access_token

__all__ = ["access_token", "create_app"]
