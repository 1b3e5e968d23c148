"""Checks of the GitLab instance, and of the group or project that the runners belong to."""

import os
import re
from dataclasses import dataclass

import pulumi
import pulumi_gitlab as gitlab

from components.preflight.checks import Check, RefusalError, attempt
from stacks.settings import Settings
from stacks.versions import RUNNER_VERSION, numbers

GITLAB_COM = "https://gitlab.com/"


@dataclass(frozen=True, kw_only=True)
class GitLab:
    """The GitLab instance, and the group or project that may use the runners."""

    url: str
    group_id: int | None
    project_id: int | None


def check_version() -> Check:
    """Check that GitLab is not older than the runner: it would not know all that the runner and the jobs use.

    Source: https://docs.gitlab.com/runner/#gitlab-runner-versions
    """
    url = gitlab_url()
    check = Check(title="GitLab's version")
    answer = attempt(gitlab.get_metadata)
    if isinstance(answer, RefusalError):
        check.unknown(f"the version of {url}", answer, f"It must be {_minor(RUNNER_VERSION)} or newer.")
        return check
    check.found = f"{answer.version}, runner {RUNNER_VERSION}"
    if (version := _minor(answer.version)) and numbers(version) < numbers(_minor(RUNNER_VERSION)):
        check.problem(
            "stacks/versions.py: RUNNER_VERSION",
            f"GitLab Runner {RUNNER_VERSION} is newer than GitLab {answer.version} on {url}",
            f"Upgrade GitLab to {_minor(RUNNER_VERSION)} or newer.",
        )
    return check


def _minor(version: str) -> str:
    """The first two numbers of a version such as `19.2.1-ee`."""
    found = re.match(r"\d+\.\d+", version)
    return found[0] if found else ""


def find_runner_scope(settings: Settings) -> tuple[GitLab | None, Check]:
    """The group or project that the runners belong to."""
    url = gitlab_url()
    group, projects = settings.runner_group, settings.runner_projects
    if projects:
        check = Check(title="Owner of the runners", found=f"project {projects[0]}")
        owner = check.settle(
            attempt(lambda: gitlab.get_project(path_with_namespace=projects[0])),
            path="buildyard:projects[0].path" if settings.runners.projects_only else "buildyard:runners.project",
            hint=f"Use the path of a project on {url} that the token may read.",
        )
        return GitLab(url=url, group_id=None, project_id=int(owner.id)) if owner else None, check
    check = Check(title="Owner of the runners", found=f"group {group}")
    found = check.settle(
        attempt(lambda: gitlab.get_group(full_path=group)),
        path="buildyard:runners.group",
        hint=f"Use the path of a group on {url} that the token may read.",
    )
    if found and found.marked_for_deletion_on:
        check.problem(
            "buildyard:runners.group",
            f"{group} will be deleted on {found.marked_for_deletion_on}",
            "Restore the group, or use another one.",
        )
    return GitLab(url=url, group_id=found.group_id, project_id=None) if found else None, check


def gitlab_url() -> str:
    """GitLab's address for browsers and runners, derived from the address of the provider's API."""
    api = pulumi.Config("gitlab").get("baseUrl") or os.environ.get("GITLAB_BASE_URL") or GITLAB_COM
    return api.rstrip("/").removesuffix("/api/v4") + "/"
