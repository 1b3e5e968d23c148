"""Checks that the images' Dockerfiles and folders are in their projects' default branches.

They may come with the merge request that the preview is for, so what is missing is only told.
"""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi_gitlab as gitlab

from components.preflight.checks import Check, RefusalError, attempt
from components.preflight.parallel import together
from stacks.problems import nearest
from stacks.projects import Image, Project


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A file or folder that a build reads."""

    project: str
    branch: str
    path: str
    is_folder: bool

    def ask(self) -> str:
        """Ask for it."""
        if not self.is_folder:
            # Not one tree of the whole repository: the provider reads trees in pages of 20, one after the other.
            return gitlab.get_repository_file(project=self.project, ref=self.branch, file_path=self.path).file_path
        if not _entries(self.project, self.branch, self.path):  # Git has no empty folders: this is a file
            raise RefusalError("404 Tree Not Found")
        return self.path


def check_contexts(projects: Sequence[Project]) -> Check:
    """Check the paths that the images of these projects need, which must have their default branch."""
    check = Check(title="Contexts and Dockerfiles")
    wanted = list(
        dict.fromkeys(each for project in projects for image in project.built for each in _paths(project, image))
    )
    answers = together(partial(attempt, each.ask) for each in wanted)
    check.found = f"{sum(not isinstance(answer, RefusalError) for answer in answers)} of {len(wanted)} paths"
    for project in projects:
        refused = [
            (each.path, answer)
            for each, answer in zip(wanted, answers, strict=True)
            if each.project == project.path and isinstance(answer, RefusalError)
        ]
        missing = [path for path, answer in refused if answer.is_missing]
        if missing:
            check.notice(*_tell(project, missing))
        elif refused:
            path, refusal = refused[0]
            check.unknown(f"{path} of {project.path}", refusal, "Allow the token to read the repository.")
    return check


def _paths(project: Project, image: Image) -> Iterator[_Wanted]:
    wanted = partial(_Wanted, project=project.path, branch=project.default_branch)
    yield wanted(path=image.dockerfile_path, is_folder=False)
    for folder in image.folders:
        if folder != "." and not image.dockerfile_path.startswith(f"{folder}/"):
            yield wanted(path=folder, is_folder=True)


_MOST = 5
"""The most paths of a project in a notice."""


def _tell(project: Project, missing: Sequence[str]) -> tuple[str, str]:
    """A notice about paths that are missing in a project's default branch, and what to do."""
    listed = ", ".join(missing[:_MOST]) + (f" and {len(missing) - _MOST} more" if len(missing) > _MOST else "")
    guesses = together(partial(_guess, project, path) for path in missing[:_MOST])
    return (
        f"The branch {project.default_branch} of {project.path} has no {listed}, so these builds fail until it has",
        " ".join(["Merge them there, or correct the settings.", *dict.fromkeys(filter(None, guesses))]),
    )


def _guess(project: Project, path: str) -> str:
    """The most similar path, from the listing of the innermost folder that exists."""
    folder = path
    while folder:
        folder = posixpath.dirname(folder)
        answer = attempt(partial(_entries, project.path, project.default_branch, folder))
        if not isinstance(answer, RefusalError) and answer:
            wanted = posixpath.join(folder, path.removeprefix(f"{folder}/").partition("/")[0])
            return f"{path}: {nearest(wanted, answer)}"
    return ""


def _entries(project: str, branch: str, folder: str) -> list[str]:
    return [each.path for each in gitlab.get_repository_tree(project=project, ref=branch, path=folder or None).trees]
