"""The scripts that build the builder image, with real BuildKit, crane and ECR's credential helper.

The Dockerfile here has the stages of the real one, with tools of this machine: the sandbox has no Go and no Alpine.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from bootstrap import role_documents
from bootstrap.targets import Purpose
from sandbox.builds.tools import machine, program
from sandbox.endpoints import REGION
from sandbox.services.aws.tokens import issue_to_job
from tests.bootstrap.documents import ACCOUNT
from tests.sandbox.builds.environments import Environment

pytestmark = pytest.mark.builds

ROOT = Path(__file__).parents[3]
BUILDER = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())[".builder"]
GITLAB, PROJECT = "https://gitlab.example.com", "platform/buildyard"
NAME = "buildyard/builder"
REPOSITORY = f"{ACCOUNT.id}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
DOCKERFILE = """\
FROM busybox:1.37 AS tools
COPY bin/ /tools/
FROM scratch AS tools-alone
COPY --from=tools /tools/ /
FROM busybox:1.37
RUN echo built > /built
"""


@pytest.fixture(scope="module")
def role(environment: Environment) -> str:
    """The role of these jobs, as the bootstrap project makes it for the sandbox's stack."""
    iam = environment.group.client("iam")
    provider = iam.create_open_id_connect_provider(Url=GITLAB, ClientIDList=["sts.amazonaws.com"])
    trust = role_documents.trust(
        Purpose.BUILDER,
        provider_arn=provider["OpenIDConnectProviderArn"],
        project=PROJECT,
        default_branch="main",
    )
    name = Purpose.BUILDER.role("sandbox")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    [push] = role_documents.push_policies(f"arn:aws:ecr:{REGION}:{ACCOUNT.id}:repository/{NAME}").values()
    iam.put_role_policy(RoleName=name, PolicyName="push", PolicyDocument=json.dumps(push))
    environment.group.client("ecr").create_repository(repositoryName=NAME, imageTagMutability="IMMUTABLE")
    return str(made["Role"]["Arn"])


class Job:
    """A job of the default branch, on a node of this machine's processor."""

    def __init__(self, environment: Environment, role: str, folder: Path) -> None:
        self._environment, self._role, self.folder = environment, role, folder
        here = folder / "images" / "builder"
        (here / "bin").mkdir(parents=True)
        (here / "Dockerfile").write_text(DOCKERFILE)
        for script in ("build.sh", "login.sh", "publish.sh"):
            shutil.copy(ROOT / "images" / "builder" / script, here)
        for tool in ("crane", "docker-credential-ecr-login"):
            shutil.copy(program(tool), here / "bin")
        for path in (folder, *folder.rglob("*")):
            environment.builds.runner.worker.give(path)

    def run(self, script: str, *arguments: str, ref: str = "main") -> tuple[int, str]:
        """Run a script with a token of a branch; its exit code and output."""
        runner = self._environment.builds.runner
        token = self.folder / "aws-id-token"
        key = self._environment.group.token_key
        token.write_text(issue_to_job(key, gitlab=GITLAB, project=PROJECT, ref=ref))
        runner.worker.give(token)
        variables: Mapping[str, str] = {
            **runner.worker.environment,
            **runner.environment,
            "HOME": str(self.folder),
            "TMPDIR": str(runner.worker.own(self.folder / "tmp")),
            "AWS_ROLE_ARN": self._role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ROLE_SESSION_NAME": "test",
            "BUILDCTL_CONNECT_RETRIES_MAX": BUILDER["variables"]["BUILDCTL_CONNECT_RETRIES_MAX"],
        }
        done = runner.worker.run(
            ["sh", f"images/builder/{script}", *arguments], cwd=self.folder, env=variables, capture_output=True
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def job(environment: Environment, role: str) -> Iterator[Job]:
    with environment.builds.runner.worker.scratch() as folder:
        yield Job(environment, role, folder)


@pytest.mark.timeout(300)
def test_a_job_without_a_builder_publishes_the_builder(environment: Environment, job: Job) -> None:
    here = str(machine())
    code, said = job.run("build.sh", REPOSITORY, "1.0.0", here)
    assert code == 0, said
    code, said = job.run("publish.sh", REPOSITORY, "1.0.0", here)
    assert code == 0, said
    ecr = environment.group.client("ecr")
    [image] = ecr.batch_get_image(repositoryName=NAME, imageIds=[{"imageTag": "1.0.0"}])["images"]
    [built] = json.loads(image["imageManifest"])["manifests"]
    assert built["platform"]["architecture"] == here
    assert built["digest"] == (job.folder / ".builder" / here / "digest").read_text().strip()

    code, said = job.run("build.sh", REPOSITORY, "1.0.0", here)
    assert code == 1
    assert "exists already" in said


def test_a_branch_cannot_push_the_builder(job: Job) -> None:
    code, said = job.run("build.sh", REPOSITORY, "6.6.6", str(machine()), ref="feature")
    assert code != 0
    assert "Pushed" not in said
    assert "AssumeRoleWithWebIdentity" in said or "403" in said or "401" in said or "no basic auth" in said, said


def test_the_role_pushes_nothing_else(environment: Environment, job: Job) -> None:
    environment.group.client("ecr").create_repository(repositoryName="platform/other")
    code, said = job.run("build.sh", REPOSITORY.replace(NAME, "platform/other"), "1.0.0", str(machine()))
    assert code != 0
    assert "is not authorized to perform: ecr:" in said
