"""A group with image projects as the platform configures them: repositories, a role for build pods, a pipeline."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import gitlab
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from components import policy_documents
from pipeline.generate import generate
from pipeline.inputs import PipelineInputs, registry_host
from pipeline.render import render
from sandbox.builds.pod_identity import ServiceAccount
from sandbox.builds.proxy import serving
from sandbox.endpoints import REGION
from sandbox.services import gitlab as gitlab_service
from sandbox.services.aws.app import create_app
from sandbox.services.aws.seed import seed
from sandbox.services.gitlab.repository import Change, Person, Repository
from stacks import tags
from stacks.parsing import parse

HOST = registry_host("123456789012", REGION)
BUILDS = ServiceAccount(cluster="ci", namespace="buildyard-test", name="builds")
BRANCH = "master"
_COLLEAGUE = Person(name="A colleague", email="colleague@example.com")


@dataclass(frozen=True, kw_only=True)
class ExampleGroup:
    """The group's GitLab and AWS account, by their URLs, with their data in `directory`."""

    aws: str
    gitlab: str
    token: str
    directory: Path
    _repositories: list[str] = field(default_factory=list)

    def client(self, service: Any) -> Any:
        return boto3.Session("test", "test", region_name=REGION).client(service, endpoint_url=self.aws)

    def project(self, name: str, images: Sequence[Mapping[str, Any]], files: Mapping[str, str]) -> "ImageProject":
        """A new project that holds `files`, with the pipeline of a stack that has these images."""
        api = gitlab.Gitlab(self.gitlab, private_token=self.token)
        group = api.groups.get("platform")
        api.projects.create({"name": name, "namespace_id": group.id, "default_branch": BRANCH})
        path = f"platform/{name}"
        stack = {"path": path, "default-branch": BRANCH, "time-zone": "Asia/Hong_Kong", "images": list(images)}
        settings = parse({"cluster": {"name": BUILDS.cluster}, "projects": [stack]}, source="test")
        [declared] = settings.projects
        self._create_repositories([settings.repository_of(declared, image) for image in declared.images])
        inputs = PipelineInputs(settings=settings, project=declared, registry_host=HOST, source="test")
        project = ImageProject(path=path, repository=Repository(self.directory / "gitlab" / f"{path}.git"), group=self)
        project.commit({**files, **{file.path: file.text for file in render(generate(inputs))}})
        return project

    def grant(self, policies: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rights of the build pods."""
        iam = self.client("iam")
        for name in iam.list_role_policies(RoleName="push")["PolicyNames"]:
            iam.delete_role_policy(RoleName="push", PolicyName=name)
        for number, policy in enumerate(policies):
            iam.put_role_policy(RoleName="push", PolicyName=f"push-{number}", PolicyDocument=json.dumps(policy))

    def grant_push(self) -> None:
        """Give the build pods the rights that the platform gives them."""
        self.grant(policy_documents.push(self._repositories))

    def _create_repositories(self, names: Sequence[str]) -> None:
        ecr = self.client("ecr")
        for name in names:
            made = ecr.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[
                    {"filterType": "WILDCARD", "filter": tag} for tag in tags.movable()
                ],
            )
            self._repositories.append(made["repository"]["repositoryArn"])
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
        _create_role(made)
        yield made


def _create_role(made: ExampleGroup) -> None:
    iam, eks = made.client("iam"), made.client("eks")
    trust = policy_documents.pod_identity_trust(
        cluster_arn=eks.describe_cluster(name=BUILDS.cluster)["cluster"]["arn"],
        namespace=BUILDS.namespace,
        service_account=BUILDS.name,
    )
    role = iam.create_role(RoleName="push", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    eks.create_pod_identity_association(
        clusterName=BUILDS.cluster, namespace=BUILDS.namespace, serviceAccount=BUILDS.name, roleArn=role
    )


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - named by werkzeug
        pass


class _QuietMoto(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass
