"""Groups with image projects as the platform configures them: repositories, roles, runners, a pipeline.

The projects of one group have two trust tiers, those of the other one share everything.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from gitlab import Gitlab
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from components import policy_documents
from components.preflight.account import Account
from components.registry_access import cache_arns, pull_arns
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs
from pipeline.render import render
from sandbox.builds.pod_identity import ServiceAccount
from sandbox.builds.proxy import serving
from sandbox.endpoints import REGION
from sandbox.services import gitlab as gitlab_service
from sandbox.services.aws.app import create_app
from sandbox.services.aws.seed import seed
from sandbox.services.aws.tokens import signing_key
from sandbox.services.gitlab.repository import Change, Person, Repository
from stacks import tags
from stacks.architecture import Architecture
from stacks.parsing import parse
from stacks.partitions import registry_host
from stacks.settings import Settings
from stacks.trust import TIER_VARIABLE, Tier, Trust

HOST = registry_host("123456789012", REGION)
CLUSTER = "ci"
BRANCH = "master"
GROUPS = {Trust.ISOLATED: "platform", Trust.SHARED: "together"}
"""The GitLab group of the projects of each kind."""


def account(trust: Trust, tier: Tier = Tier.PROTECTED) -> ServiceAccount:
    """The service account of the pods of a group's tier."""
    return ServiceAccount(cluster=CLUSTER, namespace=tier.of(f"buildyard-{GROUPS[trust]}"), name="builds")


BUILDS = account(Trust.ISOLATED)
TIERS = [(trust, tier) for trust in GROUPS for tier in trust.tiers]
RUNNERS = {
    f"{account(trust, tier).namespace}-{architecture}": account(trust, tier)
    for trust, tier in TIERS
    for architecture in Architecture
}
"""The service account of the pods of each runner."""
_COLLEAGUE = Person(name="A colleague", email="colleague@example.com")


@dataclass(frozen=True, kw_only=True)
class ExampleGroup:
    """The group's GitLab and AWS account, by their URLs, with their data in `directory`."""

    aws: str
    gitlab: str
    token: str
    directory: Path
    _settings: list[tuple[Trust, Settings]] = field(default_factory=list)

    def client(self, service: Any) -> Any:
        return boto3.Session("test", "test", region_name=REGION).client(service, endpoint_url=self.aws)

    @property
    def token_key(self) -> bytes:
        """The key of the tokens of the cluster's service accounts."""
        return signing_key(self.directory / "aws")

    @property
    def api(self) -> Gitlab:
        return Gitlab(self.gitlab, private_token=self.token)

    def project(
        self,
        name: str,
        images: Sequence[Mapping[str, Any]],
        files: Mapping[str, str],
        trust: Trust = Trust.ISOLATED,
        registry: Mapping[str, Any] | None = None,
    ) -> "ImageProject":
        """A new project that holds `files`, with the pipeline of a stack that has these images and settings."""
        api, group = self.api, self.api.groups.get(GROUPS[trust])
        made = api.projects.create({"name": name, "namespace_id": group.id, "default_branch": BRANCH})
        for pattern in ("v*", "V*"):
            made.protectedtags.create({"name": pattern})
        path = f"{GROUPS[trust]}/{name}"
        stack = {"path": path, "default-branch": BRANCH, "time-zone": "Asia/Hong_Kong", "images": list(images)}
        keys = {"cluster": {"name": CLUSTER}, "projects": [stack], "trust": str(trust), "registry": registry or {}}
        settings = parse(keys, source="test")
        [declared] = settings.projects
        if trust is Trust.ISOLATED:
            made.variables.create({"key": TIER_VARIABLE, "value": str(Tier.PROTECTED), "protected": True})
        self._settings.append((trust, settings))
        semver = {settings.repository_of(declared, image) for image in declared.images if image.semver}
        for tier in trust.tiers:
            self._create_repositories(settings.pushed_repositories(tier), semver)
        inputs = PipelineInputs(settings=settings, project=declared, registry_host=HOST, source="test")
        project = ImageProject(path=path, repository=Repository(self.directory / "gitlab" / f"{path}.git"), group=self)
        project.commit({**files, **{file.path: file.text for file in render(generate(inputs))}})
        return project

    def grant(self, policies: Sequence[Mapping[str, Any]], account: ServiceAccount = BUILDS) -> None:
        """Replace the rights of a service account's pods."""
        iam, role = self.client("iam"), role_of(account)
        for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=role, PolicyArn=each["PolicyArn"])
            iam.delete_policy(PolicyArn=each["PolicyArn"])
        for number, policy in enumerate(policies):
            made = iam.create_policy(PolicyName=f"{role}-{number}", PolicyDocument=json.dumps(policy))["Policy"]
            iam.attach_role_policy(RoleName=role, PolicyArn=made["Arn"])

    def grant_push(self) -> None:
        """Give the build pods the rights that the platform gives them."""
        registry = Account(id="123456789012", region=REGION, partition="aws")
        for trust, tier in TIERS:
            own = [settings for each, settings in self._settings if each is trust]
            pushed = [registry.repository_arn(name) for each in own for name in each.pushed_repositories(tier)]
            pulled = [registry.repository_arn(name) for each in own for name in each.pulled_repositories(tier)]
            for each in own:
                pulled += pull_arns(each, registry.as_registry)
            cached = [arn for each in own for arn in cache_arns(each, registry.as_registry, tier)]
            rights = policy_documents.push(pushed, pull_arns=pulled, cache_arns=cached)
            self.grant(rights, account(trust, tier))

    def _create_repositories(self, names: Iterable[str], semver: Collection[str]) -> None:
        ecr = self.client("ecr")
        for name in names:
            mutability, excluded = tags.mutability(BRANCH, semver=name in semver)
            ecr.create_repository(
                repositoryName=name,
                imageTagMutability=mutability,
                imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": tag} for tag in excluded],
            )
        self.grant_push()


@dataclass(frozen=True, kw_only=True)
class ImageProject:
    path: str
    repository: Repository
    group: ExampleGroup

    def commit(self, files: Mapping[str, str], *, branch: str = BRANCH, start: str | None = None) -> str:
        """Commit files; `start` makes the branch from another one. Returns the commit's id."""
        return self.repository.commit(
            branch,
            {path: Change(content=text.encode()) for path, text in files.items()},
            parent=self.repository.commit_id(start or branch),
            expected=None if start else self.repository.commit_id(branch),
            message="Change images",
            author=_COLLEAGUE,
            committer=_COLLEAGUE,
        )

    def tag(self, name: str, commit: str) -> None:
        """Set a Git tag, or move it."""
        file = self.repository.directory / "refs" / "tags" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{commit}\n")


@contextmanager
def example_group(directory: Path) -> Iterator[ExampleGroup]:
    """Run AWS and GitLab with a role for build pods. One per process, since moto's state is global."""
    with ExitStack() as stack:
        aws_server = make_server("127.0.0.1", 0, create_app(directory / "aws"), True, request_handler=_QuietMoto)
        aws = stack.enter_context(serving(aws_server))
        seed(aws)
        gitlab_server = make_server("127.0.0.1", 0, Response(), True, request_handler=_Quiet)
        url = stack.enter_context(serving(gitlab_server))
        gitlab_server.app = gitlab_service.create_app(directory, url)
        made = ExampleGroup(aws=aws, gitlab=url, token=gitlab_service.access_token(directory), directory=directory)
        for trust, tier in TIERS:
            _create_role(made, account(trust, tier))
            _create_runners(made, trust, tier)
        yield made


def role_of(account: ServiceAccount) -> str:
    """The name of the role of a service account's pods."""
    return f"{account.namespace}-push"


def _create_role(made: ExampleGroup, account: ServiceAccount) -> None:
    iam, eks = made.client("iam"), made.client("eks")
    trust = policy_documents.pod_identity_trust(
        cluster_arn=eks.describe_cluster(name=CLUSTER)["cluster"]["arn"],
        namespace=account.namespace,
        service_account=account.name,
    )
    role = iam.create_role(RoleName=role_of(account), AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    eks.create_pod_identity_association(
        clusterName=CLUSTER, namespace=account.namespace, serviceAccount=account.name, roleArn=role
    )


def _create_runners(made: ExampleGroup, trust: Trust, tier: Tier) -> None:
    path = GROUPS[trust]
    found = [group for group in made.api.groups.list(search=path) if group.full_path == path]
    group = found[0] if found else made.api.groups.create({"name": path, "path": path})
    for architecture in Architecture:
        runner = {
            "runner_type": "group_type",
            "group_id": group.id,
            "description": f"{account(trust, tier).namespace}-{architecture}",
            "tag_list": ",".join(trust.runner_tags(tier, architecture)),
            "access_level": trust.access_level(tier),
            "run_untagged": False,
        }
        made.api.http_post("/user/runners", post_data=runner)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - named by werkzeug
        pass


class _QuietMoto(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass
