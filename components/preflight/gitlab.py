"""Checks of the GitLab instance, and of the group or project that the runners belong to."""

import os
from dataclasses import dataclass

import pulumi
import pulumi_gitlab as gitlab

from components.preflight.checks import Check
from stacks.settings import Settings

GITLAB_COM = "https://gitlab.com/"


@dataclass(frozen=True, kw_only=True)
class GitLab:
    """The GitLab instance, and the group or project that may use the runners."""

    url: str
    group_id: int | None
    project_id: int | None


def find_runner_scope(settings: Settings) -> tuple[GitLab | None, Check]:
    """The group or project that the runners belong to."""
    url = gitlab_url()
    group, project = settings.runner_group, settings.runners.project
    if project:
        check = Check(title=f"GitLab project {project}, owner of the runners")
        owner = check.ask(
            lambda: gitlab.get_project(path_with_namespace=project),
            path="buildyard:runners.project",
            hint=f"Use the path of a project on {url} that the token may read.",
        )
        return GitLab(url=url, group_id=None, project_id=int(owner.id)) if owner else None, check
    check = Check(title=f"GitLab group {group}, owner of the runners")
    found = check.ask(
        lambda: gitlab.get_group(full_path=group),
        path="buildyard:runners.group",
        hint=f"Use the path of a group on {url} that the token may read.",
    )
    return GitLab(url=url, group_id=found.group_id, project_id=None) if found else None, check


def gitlab_url() -> str:
    """GitLab's address for browsers and runners, derived from the address of the provider's API."""
    api = pulumi.Config("gitlab").get("baseUrl") or os.environ.get("GITLAB_BASE_URL") or GITLAB_COM
    return api.rstrip("/").removesuffix("/api/v4") + "/"
