"""Checks of the GitLab projects whose images the stack builds: they exist, and take the pipeline and the runners."""

from base64 import b64decode
from functools import partial

import pulumi_gitlab as gitlab

from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.gitlab import gitlab_url
from components.preflight.parallel import together
from pipeline import rules
from pipeline.render import source_of
from stacks import protection
from stacks.names import BUILDER_VARIABLE
from stacks.projects import Project
from stacks.settings import Settings
from stacks.trust import Trust

MAINTAINER = 40
OWNER = 50
"""Access levels. Source: https://docs.gitlab.com/api/access_requests/"""


def check_projects(settings: Settings, *, source: str) -> tuple[list[Project], list[Check]]:
    """Check every project. Return also those that have their default branch.

    `source` is the file whose pipelines may be replaced.
    """
    projects = [
        _Project(settings, project, f"buildyard:projects[{position}]", source)
        for position, project in enumerate(settings.projects)
        if project.built  # else nothing is published there
    ]
    checks = together(each.check for each in projects)
    return [each.project for each in projects if each.has_branch], checks


class _Project:
    """The checks of one project."""

    def __init__(self, settings: Settings, project: Project, path: str, source: str) -> None:
        self.project = project
        self.has_branch = False
        self._settings = settings
        self._path = path
        self._source = source
        self._check = Check(title=f"GitLab project {project.path}")

    def check(self) -> Check:
        """Check one project: first that it exists, then the rest."""
        found = self._check.settle(
            attempt(lambda: gitlab.get_project(path_with_namespace=self.project.path)),
            path=f"{self._path}.path",
            hint=f"Use the path of a project on {gitlab_url()} that the token may read.",
        )
        if found:
            self._check_state(found)
            self._check_runners(found)
            self._check_variables(found)
            self._check_pipeline(found)
            self._check_role(found)
            if found.empty_repo:  # the first commit, which may be ours, makes the branch
                self._check.found = "no commit yet"
            else:
                self._check_branch(found)
            self._check_protection()
        return self._check

    def _problem(self, key: str, message: str, hint: str) -> None:
        self._check.problem(f"{self._path}.{key}", message, hint)

    def _check_state(self, found: gitlab.GetProjectResult) -> None:
        path = self.project.path
        if found.archived:
            self._problem("path", f"{path} is archived, and takes no commits", "Unarchive it, or remove it here.")
        if found.marked_for_deletion_on:
            self._problem(
                "path", f"{path} will be deleted on {found.marked_for_deletion_on}", "Restore it, or remove it here."
            )
        if found.builds_access_level == "disabled":
            self._problem("path", f"{path} has CI/CD disabled, so nothing would be built", f"Enable it {_VISIBILITY}.")

    def _check_runners(self, found: gitlab.GetProjectResult) -> None:
        if self._settings.runner_group and not found.group_runners_enabled:
            self._problem(
                "path",
                f"{self.project.path} does not use the runners of its groups, so its jobs would wait for ever",
                "Enable group runners in GitLab's settings of the project, under CI/CD, Runners; or set "
                "buildyard:runners.project.",
            )
        if self.project.path in self._settings.runner_projects[:1] and found.runner_token_expiration_interval:
            self._check.notice(
                f"The tokens of {self.project.path}'s runners expire. A manager renews its token and loses it when it "
                "restarts",
                "Remove the expiration in GitLab's settings of the project, under CI/CD, Runners.",
            )

    def _check_variables(self, found: gitlab.GetProjectResult) -> None:
        """Find a project in which nobody may start a pipeline that names images, as new ones on GitLab.com are.

        Source: https://docs.gitlab.com/ci/variables/#restrict-pipeline-variables
        """
        if found.ci_pipeline_variables_minimum_override_role == "no_one_allowed":
            variables = " or ".join(rules.VARIABLES)
            self._check.notice(
                f"{self.project.path} lets nobody start a pipeline with variables, such as {variables}",
                "Choose a role in GitLab's settings of the project, under CI/CD, Variables: Minimum role to use "
                "pipeline variables. Without one, images build after commits alone, and no schedule can renew them.",
            )

    def _check_pipeline(self, found: gitlab.GetProjectResult) -> None:
        """Find a setting of the project by which GitLab reads its pipeline from elsewhere."""
        project, other = self.project, found.ci_config_path
        if other and other != project.pipeline_path and not project.has_own_jobs:
            self._problem(
                "pipeline-path",
                f"GitLab reads the pipeline of {project.path} from {other}, not from {project.pipeline_path}",
                "Clear that in GitLab's settings of the project, under CI/CD, General pipelines; or set pipeline-path "
                "to another file, and include that.",
            )

    def _check_role(self, found: gitlab.GetProjectResult) -> None:
        """Find a token that may not set variables. GitLab does not tell roles that come from a shared group."""
        level = max((_level(each) for each in found.permissions or ()), default=0)
        if level >= MAINTAINER:
            return
        answer = attempt(partial(gitlab.get_project_variable, project=self.project.path, key=BUILDER_VARIABLE))
        if isinstance(answer, RefusalError) and not answer.is_missing:
            self._problem(
                "path",
                f"the token may not read the CI/CD variables of {self.project.path}: {answer}",
                "Use a token of a Maintainer of the project.",
            )

    def _check_branch(self, found: gitlab.GetProjectResult) -> None:
        project = self.project
        if found.default_branch != project.default_branch:
            self._problem(
                "default-branch",
                f"the default branch of {project.path} is {found.default_branch}, not {project.default_branch}",
                f"Set it to {found.default_branch}, or change it {_REPOSITORY}.",
            )
        answer = attempt(partial(gitlab.get_branch, project=project.path, name=project.default_branch))
        if isinstance(answer, RefusalError):
            if answer.is_missing and found.default_branch == project.default_branch:
                message = f"{project.path} has no branch {project.default_branch}"
                self._problem("default-branch", message, f"Push it, or change the default branch {_REPOSITORY}.")
            elif not answer.is_missing:
                self._problem("default-branch", f"{project.path}: {answer}", "Use a token that may read the branches.")
            return
        self.has_branch = True
        self._check.found = f"branch {project.default_branch}"
        if not answer.can_push:
            self._problem(
                "default-branch",
                f"the token may not push to {project.default_branch} of {project.path}, where the pipeline goes",
                f"Allow its role to push to the protected branch {_REPOSITORY}.",
            )
        self._check_file()

    def _check_file(self) -> None:
        """Find a file at the pipeline's path that is somebody else's."""
        project = self.project
        question = partial(
            gitlab.get_repository_file,
            project=project.path,
            ref=project.default_branch,
            file_path=project.pipeline_path,
        )
        answer = attempt(question)
        if isinstance(answer, RefusalError):
            if not answer.is_missing:
                message = f"{project.path}: {answer}"
                self._problem("pipeline-path", message, "Use a token that may read the repository.")
            return
        owner = source_of(b64decode(answer.content).decode(errors="replace"))
        if owner is None:
            self._problem(
                "pipeline-path",
                f"{project.path} has a {project.pipeline_path} of its own, which is not replaced",
                "Set pipeline-path to .gitlab/buildyard.yml, and include that file in yours; or remove yours.",
            )
        elif owner != self._source:
            self._problem(
                "pipeline-path",
                f"{project.pipeline_path} of {project.path} is published from {owner}",
                f"Remove the project from {owner} and deploy that first: a project can be in only one stack.",
            )

    def _check_protection(self) -> None:
        """Find branches and tags that GitLab must protect: only their pipelines are of the protected tier."""
        trust, project = self._settings.trust, self.project
        if trust is Trust.SHARED:
            return
        hint = "Use the path of a project of which the token may read the protected branches and tags."
        branches, tags = (
            self._check.settle(attempt(partial(question, project.path)), path=f"{self._path}.path", hint=hint)
            for question in (_protected_branches, _protected_tags)
        )
        if branches is not None and tags is not None:
            self._check.problems += protection.problems(project, self._path, branches=branches, tags=tags)
            self._check.notices += protection.notices(trust, project, branches=branches, tags=tags)


_REPOSITORY = "in GitLab's settings of the project, under Repository"
_VISIBILITY = "in GitLab's settings of the project, under General, Visibility"


def _level(permissions: gitlab.outputs.GetProjectPermissionResult) -> int:
    """The higher one of the token's access levels in the project and in its groups."""
    both = (permissions.project_access or {}, permissions.group_access or {})
    return max(access.get("access_level", 0) for access in both)


def _protected_branches(project: str) -> list[str]:
    return [each.name for each in gitlab.get_project_protected_branches(project_id=project).protected_branches]


def _protected_tags(project: str) -> list[str]:
    return [each.tag for each in gitlab.get_project_protected_tags(project=project).protected_tags]
