"""The settings of GitLab projects and their images."""

import posixpath
import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag

from stacks.architecture import Architecture
from stacks.fields import ONE, SEVERAL, GitLabPath, Integer, Minutes, Name, RepositoryName, TimeZone, VariableName
from stacks.model import Model, pattern_text
from stacks.problems import echo, refusal
from stacks.runners import Resources


def _inside_repository(path: str) -> str:
    normal = posixpath.normpath(path)
    if path.startswith("/") or normal.split("/")[0] == "..":
        raise refusal(f"{echo(path)} is outside the repository", "Use a path relative to the repository's root.")
    if not path.isprintable() or not path.strip():
        raise refusal(f"{echo(path)} is not a path", "Use a path without control characters, '.' for the root.")
    if is_git_data(normal):
        raise refusal(f"{echo(path)} is in Git's own folder, which no commit contains", "Use another path.")
    return normal


def is_git_data(path: str) -> bool:
    """Whether the path is in a `.git` folder. Git takes the name in any case, for file systems that ignore case."""
    return ".git" in path.lower().split("/")


def _file(path: str) -> str:
    if not path.isprintable() or posixpath.basename(path).strip() in ("", ".", ".."):
        raise refusal(f"{echo(path)} is not the path of a file", "Use a file's path, such as docker/Dockerfile.")
    return path


IMAGE_CONTEXT = "docker-image://"
"""The beginning of a named context that is an image."""


def _context(source: str) -> str:
    if source.startswith(IMAGE_CONTEXT):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}", source.removeprefix(IMAGE_CONTEXT)):
            raise refusal(
                f"{echo(source)} is not an image with a digest", f"Use {IMAGE_CONTEXT}IMAGE:TAG@sha256:DIGEST."
            )
        return source
    if "://" in source:
        raise refusal(
            f"{echo(source)} is neither a folder nor an image",
            f"Use a folder's path in the repository, or {IMAGE_CONTEXT}IMAGE:TAG@sha256:DIGEST.",
        )
    return _inside_repository(source)


def _branch(name: str) -> str:
    """Refuse what the pattern of `default-branch` allows, and `git check-ref-format --branch` or GitLab do not."""
    if name == "HEAD" or any(part.endswith(".lock") for part in name.split("/")):
        raise refusal(f"{name!r} cannot be a branch in Git", "Use the name of a branch.")
    return name


RepositoryPath = Annotated[str, Field(max_length=1024), AfterValidator(_inside_repository)]

PipelinePath = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9_./@+-]+\.ya?ml$",
        "Use letters, digits and _ . / @ + -, and end it in .yml or .yaml, as GitLab requires.",
        max_length=1024,
    ),
    AfterValidator(_inside_repository),
]

Branch = Annotated[
    str,
    pattern_text(
        # Not in a branch: two dots or slashes in a row, a dot at either end of a part, a dash at the beginning.
        r"^[A-Za-z0-9_](?:\.?[A-Za-z0-9_-])*(?:/[A-Za-z0-9_-](?:\.?[A-Za-z0-9_-])*)*$",
        "Use the name of a branch.",
        max_length=244,
    ),
    AfterValidator(_branch),
]
"""Source: https://git-scm.com/docs/git-check-ref-format"""
ContextSource = Annotated[str, Field(max_length=1024), AfterValidator(_context)]

WHOLE_PIPELINE = ".gitlab-ci.yml"
"""The path at which GitLab looks for a project's pipeline."""

Stage = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9_][A-Za-z0-9_ -]*$",
        "Use a name such as build. A pipeline of .pre alone does not run.",
        max_length=255,
    ),
]
Target = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z][A-Za-z0-9_.-]*$",
        "Use the name after AS in the Dockerfile: a letter, then letters, digits and _ . -",
        max_length=255,
    ),
]
"""A Dockerfile's stage. BuildKit takes its name in any case.

Source: https://github.com/moby/buildkit/blob/master/frontend/dockerfile/instructions/parse.go
"""

SecretId = Annotated[
    str,
    pattern_text(
        # BuildKit takes any text; a path's last part is the file in /run/secrets, and a comma ends an option.
        r"^\.?[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        "Use the id in the Dockerfile's RUN --mount=type=secret: letters, digits and _ . -",
        max_length=255,
    ),
]
GitTagPattern = Annotated[str, pattern_text(r"^[A-Za-z0-9_.*/-]+$", "Use a tag or a pattern with '*', such as v*.")]


class FromVariable(Model):
    """A value that is only known in the job: that of a CI/CD variable."""

    variable: Annotated[VariableName, Field(alias="from")]
    """The variable's name, such as CI_COMMIT_TAG."""


_BY_TYPE = Discriminator(lambda value: ONE if value is None or isinstance(value, str | bool | int | float) else SEVERAL)
BuildArgument = Annotated[Annotated[str, Tag(ONE)] | Annotated[FromVariable, Tag(SEVERAL)], _BY_TYPE]

Command = Annotated[
    Annotated[str, Field(min_length=1), Tag(ONE)] | Annotated[tuple[str, ...], Field(min_length=1), Tag(SEVERAL)],
    _BY_TYPE,
]


class Image(Model):
    """A container image: a build context in the project's Git repository, and an ECR repository."""

    name: Name
    """The image's name, also in the names of its jobs: `build-NAME:arm64`."""
    context: RepositoryPath
    """The build context's folder."""
    dockerfile: Annotated[str, Field(max_length=1024), AfterValidator(_file)] = "Dockerfile"
    """The Dockerfile's path, relative to the context."""
    repository: RepositoryName | None = None
    """The ECR repository. Default: the project's path in lower case, `/`, the name."""
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)] | None = None
    """The architectures to build for. Default: all that the stack has nodes for."""
    depends_on: tuple[Name, ...] = ()
    """Images of the same project that this one is built on. `FROM NAME` in its Dockerfile is the image just built."""
    watch: Annotated[tuple[RepositoryPath, ...], Field(min_length=1)] | None = None
    """The files and folders whose changes start a build, besides the Dockerfile, as paths from the repository's root.
    `*` is any part of a name, and `**/` any folders. Default: the context, and the folders in `contexts`."""
    contexts: dict[Name, ContextSource] = {}
    """Named contexts, for `COPY --from=NAME` and `FROM NAME`: each a folder's path from the repository's root, or an
    image with a digest: `docker-image://IMAGE:TAG@sha256:DIGEST`."""
    build_args: dict[VariableName, BuildArgument] = {}
    """Build arguments: each a literal text, or `{from: VARIABLE}`, a CI/CD variable's value. If the variable is not
    set, the Dockerfile's default applies. Anybody who may pull the image can read them: use `secrets` for secrets."""
    target: Target | None = None
    """The Dockerfile stage to build. Default: the last."""
    secrets: dict[SecretId, VariableName] = {}
    """Secrets for `RUN --mount=type=secret,id=ID`: each id, and the CI/CD variable that contains the secret, as a value
    or as a file. A build without it fails."""
    git_tags: Annotated[tuple[GitTagPattern, ...], Field(min_length=1)] | None = None
    """Patterns of the Git tags that release this image, such as `toolbox/v*`, when images are released one by one. Its
    tag is what follows the last `/`. Default: every Git tag; those without `/`, if another image has patterns."""
    semver: bool = False
    """Whether a Git tag `v1.4.2` also moves the image's tags `1.4` and `1`. Other Git tags are refused; pre-releases
    and older versions move nothing."""
    test: Command | None = None
    """A command that runs in the built image, on each architecture, before anything is tagged: a text for `/bin/sh -c`,
    or a list of the program and its arguments. If it fails, the build job fails."""
    lint: bool = False
    """Whether hadolint checks the Dockerfile, and a check of ours for `COPY --link`. Findings fail no job: they are in
    the job's log, and in the merge request as a code quality report."""
    retired: bool = False
    """Whether the image is no longer built. Its repository and its releases stay."""
    resources: Resources = Resources()
    """The resources of this image's build jobs, where they differ from the runners' defaults."""
    timeout_minutes: Minutes = 60

    @property
    def dockerfile_path(self) -> str:
        """The Dockerfile's path from the repository's root."""
        return posixpath.normpath(posixpath.join(self.context, self.dockerfile))

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of the repository that a build reads: the context, and those of named contexts."""
        named = (source for source in self.contexts.values() if not source.startswith(IMAGE_CONTEXT))
        return tuple(dict.fromkeys([self.context, *named]))


class Project(Model):
    """A GitLab project that builds images."""

    path: GitLabPath
    default_branch: Branch = "main"
    release_tags: tuple[GitTagPattern, ...] | None = None
    """Patterns of the Git tags that release images, such as `v*`. The preview fails if GitLab does not protect them.
    An empty list: the project has no releases. Default: any tags that GitLab protects."""
    time_zone: TimeZone = "UTC"
    """The time zone of the date in an image's tag; a name from the IANA database."""
    pipeline_path: PipelinePath = WHOLE_PIPELINE
    """The file to publish. A project with jobs of its own sets another file here, and includes that file."""
    stage: Stage = "build"
    """The stage of all jobs. A project with jobs of its own lists it among its stages."""
    max_jobs: Annotated[Integer, Field(ge=1)] | None = None
    """GitLab's limit for the jobs of a pipeline, if the instance has one."""
    images: Annotated[tuple[Image, ...], Field(min_length=1)]

    @property
    def built(self) -> tuple[Image, ...]:
        """The images that are not retired."""
        return tuple(image for image in self.images if not image.retired)

    @property
    def has_own_jobs(self) -> bool:
        """Whether the published file is included by the project's pipeline, instead of being all of it."""
        return self.pipeline_path != WHOLE_PIPELINE

    @property
    def has_git_tags(self) -> bool:
        """Whether some images are released by Git tags of their own."""
        return any(image.git_tags for image in self.built)

    def repository(self, image: Image) -> str:
        """The name of the image's ECR repository, without the registry's prefix."""
        return image.repository or f"{self.path.lower()}/{image.name}"


def common_group(paths: Iterable[str]) -> str | None:
    """The innermost GitLab group that contains all projects."""
    groups = [path.split("/")[:-1] for path in paths]
    shared = []
    for level in zip(*groups, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared) or None
