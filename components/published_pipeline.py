"""The pipeline of a GitLab project: the variables of its jobs, and the generated files in its repository."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gitlab as gitlab

from pipeline.render import PipelineFile


@dataclass(frozen=True, kw_only=True)
class PipelineVariablesArgs:
    stack: str
    project: str
    """The GitLab project's path."""
    variables: Mapping[str, pulumi.Input[str]]
    """The variables' names and values. They are not secret."""
    protected_variables: Mapping[str, pulumi.Input[str]]
    """Variables that GitLab gives only to pipelines of protected branches and tags."""


class PipelineVariables(pulumi.ComponentResource):
    """The variables that the jobs of one project use. A job that waits gets them when it starts: runners need them."""

    def __init__(self, name: str, args: PipelineVariablesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:PipelineVariables", name, {}, opts)
        self._name = name
        self._args = args
        # Stacks of older versions have the variables in the pipeline's own component.
        former = pulumi.create_urn(name, "buildyard:components:PublishedPipeline", opts.parent if opts else None)
        self._former = pulumi.Alias(parent=former)
        # Pipelines of merge requests do not get protected variables.
        for key, value in args.variables.items():
            self._set_variable(key, value, protected=False)
        for key, value in args.protected_variables.items():
            self._set_variable(key, value, protected=True)
        self.register_outputs({})

    def _set_variable(self, key: str, value: pulumi.Input[str], *, protected: bool) -> gitlab.ProjectVariable:
        return gitlab.ProjectVariable(
            f"{self._name}-{key}",
            project=self._args.project,
            key=key,
            value=value,
            description=f"Set by Buildyard, stack {self._args.stack}",
            protected=protected,
            masked=False,
            raw=True,
            opts=pulumi.ResourceOptions(parent=self, aliases=[self._former]),
        )


@dataclass(frozen=True, kw_only=True)
class PublishedPipelineArgs:
    stack: str
    project: str
    """The GitLab project's path."""
    branch: str
    files: Sequence[PipelineFile]
    """The file that GitLab reads, followed by the files that it includes."""
    depends_on: Sequence[pulumi.Resource]
    """Everything that the jobs need: a pipeline starts them as soon as it is published."""


class PublishedPipeline(pulumi.ComponentResource):
    """The pipeline's files in the repository of one project.

    A file that already exists, and is not Buildyard's, stays unchanged: the deployment fails, and its owner decides.
    """

    def __init__(self, name: str, args: PublishedPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("buildyard:components:PublishedPipeline", name, {}, opts)
        self._name = name
        self._args = args
        self._commit_files(args.depends_on)
        self.register_outputs({})

    def _commit_files(self, depends_on: Sequence[pulumi.Resource]) -> None:
        """Commit one file after the other, since GitLab refuses concurrent commits to a branch.

        The file that includes the others is created last and deleted first.
        """
        for file in reversed(self._args.files):
            depends_on = [self._commit_file(file, depends_on)]

    def _commit_file(self, file: PipelineFile, depends_on: Sequence[pulumi.Resource]) -> gitlab.RepositoryFile:
        return gitlab.RepositoryFile(
            f"{self._name}-{file.path}",
            project=self._args.project,
            branch=self._args.branch,
            file_path=file.path,
            content=file.text,
            encoding="text",
            # Without an author, the commit is the token's user's: push rules may refuse any other address.
            # A new pipeline must not start a build. The next change of an image does.
            create_commit_message=f"Publish the image pipeline of {self._args.stack} [skip ci]",
            update_commit_message=f"Update the image pipeline of {self._args.stack} [skip ci]",
            delete_commit_message=f"Remove the image pipeline of {self._args.stack} [skip ci]",
            opts=pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )
