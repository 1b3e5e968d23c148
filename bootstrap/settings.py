"""The settings of the bootstrap project, one file per AWS account, and the stacks' own settings that it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from stacks import config
from stacks.documents import DocumentError, read_json
from stacks.explaining import explain
from stacks.fields import GitLabPath
from stacks.iam import Iam
from stacks.model import Model, pattern_text
from stacks.problems import Problem, SettingsError, refusal
from stacks.settings import MAX_TAGS, Settings, TagKey, TagValue

NAMESPACE = "buildyard-bootstrap"
DIRECTORY = Path(__file__).parent

GitLabUrl = Annotated[
    str,
    pattern_text(
        r"^https://[a-z0-9.-]+(?:/[A-Za-z0-9._-]+)*$",
        "Use GitLab's address in a browser, with https://, without a port, which IAM does not take, and without a / at "
        "its end, such as https://gitlab.com.",
        max_length=255,
    ),
]
"""It is the `iss` of the tokens of jobs, letter by letter."""

Branch = Annotated[
    str, pattern_text(r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", "Use a branch's name, such as main.", max_length=255)
]
Thumbprint = Annotated[
    str,
    pattern_text(r"^[0-9a-f]{40}$", "Use the SHA-1 of the certificate: 40 lower-case hexadecimal digits, no colons."),
]
BucketName = Annotated[
    str,
    pattern_text(
        r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", "Use 3 to 63 lower-case letters, digits and '-', such as example-state."
    ),
]
"""Without dots, with which TLS does not work.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

StackName = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9][A-Za-z0-9_-]*$", "Use the name in stacks/Pulumi.NAME.yaml, which has no dot.", max_length=45
    ),
]
"""Without dots: the rights on a stack's state end with `NAME.`, after which the names of its files differ."""


class GitLab(Model):
    """The GitLab project of this repository, whose jobs get the roles."""

    url: GitLabUrl
    """GitLab's address. AWS gets the keys of its tokens from there, so it must be reachable from the internet."""
    project: GitLabPath
    """The project's path. Whoever may change its default branch gets the deploy roles."""
    default_branch: Branch = "main"
    """Jobs of this branch get the deploy roles. Protect it."""
    thumbprints: Annotated[tuple[Thumbprint, ...], Field(max_length=5)] = ()
    """The certificate authority of a GitLab whose certificate no public one has signed."""
    existing_provider: bool = False
    """Whether IAM has an OIDC provider for this GitLab already, since an account can have only one."""


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise refusal(f"{name} is there twice", "Remove one of them.")
    return names


class BootstrapSettings(Model):
    """The settings of one AWS account."""

    gitlab: GitLab
    """The GitLab project of this repository, whose jobs get the roles."""
    bucket: BucketName
    """The name of the S3 bucket for the state. It is unique in the whole world."""
    stacks: Annotated[tuple[StackName, ...], Field(min_length=1), AfterValidator(_distinct)]
    """The stacks of this AWS account, each with a file in stacks/."""
    iam: Iam = Iam()
    """The path of the roles and policies, and their permissions boundary."""
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_TAGS)] = {}  # noqa: RUF012 (pydantic copies it)
    """AWS tags for every resource."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The settings of an account, and those of its stacks by name. `regions` are the stacks'."""

    bootstrap: BootstrapSettings
    stacks: Mapping[str, Settings]
    regions: Mapping[str, str]
    source: str


def load() -> Loaded:
    """Read the settings of the account that Pulumi is deploying to. Raises `SettingsError`."""
    import pulumi  # here, so that the documents of the roles can be made without Pulumi's SDK

    values = pulumi.runtime.config.CONFIG.get()
    prefix = f"{NAMESPACE}:"
    given = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    region = str(pulumi.Config("aws").get("region") or "")
    return parse(given, region=region, source=f"bootstrap/Pulumi.{pulumi.get_stack()}.yaml")


def parse(values: Mapping[str, Any], *, region: str, source: str) -> Loaded:
    """Parse the values of our namespace, in which objects may be JSON. Raises `SettingsError` with all problems.

    `region` is that of the account's bucket, and of stacks that name none.
    """
    problems = [] if region else [_problem("aws:region", "is missing", "Use, for example, eu-central-1.")]
    raw: dict[str, Any] = {}
    for key, value in values.items():
        try:
            if value not in (None, ""):
                raw[key] = read_json(value) if isinstance(value, str) and value[:1] in ("{", "[") else value
        except DocumentError as error:
            problems += [_problem(f"{NAMESPACE}:{key}", fault.message, fault.hint) for fault in error.faults]
    try:
        settings = BootstrapSettings.model_validate(raw)
    except ValidationError as error:
        raise SettingsError([*problems, *explain(error, BootstrapSettings, NAMESPACE)], source=source) from None
    stacks, regions = {}, {}
    for position, stack in enumerate(settings.stacks):
        try:
            stacks[stack] = config.read_file(stack)
            regions[stack] = config.region(stack) or region
        except SettingsError as error:
            path = f"{NAMESPACE}:stacks[{position}]"
            problems += [
                _problem(path, f"the settings of {stack} have a problem: {each.path}: {each.message}", each.hint)
                for each in error.problems
            ]
    if problems:
        raise SettingsError(problems, source=source)
    return Loaded(bootstrap=settings, stacks=stacks, regions=regions, source=source)


def _problem(path: str, message: str, hint: str) -> Problem:
    return Problem(path=path, message=message, hint=hint)
