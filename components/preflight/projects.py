"""Checks of the GitLab projects whose images the stack builds."""

from functools import partial

import pulumi_gitlab as gitlab

from components.preflight.checks import Check
from components.preflight.parallel import together
from stacks import protection
from stacks.projects import Project
from stacks.settings import Settings
from stacks.trust import Trust


def check_projects(settings: Settings) -> list[Check]:
    """Check every project."""
    return together(
        partial(_check_project, settings.trust, project, f"buildyard:projects[{position}]")
        for position, project in enumerate(settings.projects)
    )


def _check_project(trust: Trust, project: Project, path: str) -> Check:
    check = Check(title=f"GitLab project {project.path}")
    _check_protection(check, trust, project, path)
    return check


def _check_protection(check: Check, trust: Trust, project: Project, path: str) -> None:
    """Find branches and tags that GitLab must protect: only their pipelines are of the protected tier."""
    if trust is Trust.SHARED:
        return
    ask = partial(
        check.ask,
        path=f"{path}.path",
        hint="Use the path of a project of which the token may read the protected branches and tags.",
    )
    branches = ask(partial(_protected_branches, project.path))
    tags = ask(partial(_protected_tags, project.path)) if branches is not None else None
    if branches is not None and tags is not None:
        check.problems += protection.problems(project, path, branches=branches, tags=tags)
        check.notices += protection.notices(trust, project, branches=branches, tags=tags)


def _protected_branches(project: str) -> list[str]:
    return [each.name for each in gitlab.get_project_protected_branches(project_id=project).protected_branches]


def _protected_tags(project: str) -> list[str]:
    return [each.tag for each in gitlab.get_project_protected_tags(project=project).protected_tags]
