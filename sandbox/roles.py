"""Commands with the rights of a role that the bootstrap project made, as a job of GitLab has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
import yaml
from botocore.exceptions import ClientError

from sandbox.endpoints import CREDENTIALS, REGION, Endpoints
from sandbox.engine.errors import EngineError
from sandbox.providers import aws
from sandbox.providers.aws.connection import Credentials
from sandbox.providers.framework import Intents, serve
from sandbox.services.aws.tokens import issue_to_job, signing_key
from stacks.names import SANDBOX

_SETTINGS = Path(__file__).parents[1] / "bootstrap" / f"Pulumi.{SANDBOX}.yaml"


@contextmanager
def acting_as(role: str, data: Path, endpoints: Endpoints) -> Iterator[Endpoints]:
    """The same sandbox for a client with the credentials of a role, until the block ends.

    A job of the project's default branch gets them, with a token of GitLab. The AWS provider has its own process, as
    with a real CLI. Raises EngineError if AWS refuses.
    """
    credentials = assume(role, data, endpoints)
    server, port = serve(aws.provider(endpoints.aws, credentials), intents=Intents(data))
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    try:
        yield replace(
            endpoints,
            providers={**endpoints.providers, "aws": port},
            session={name: str(value) for name, value in zip(names, credentials, strict=True)},
        )
    finally:
        server.stop(grace=5).wait()


def assume(role: str, data: Path, endpoints: Endpoints, *, ref: str | None = None) -> Credentials:
    """The credentials that a job of GitLab gets for a role, on the default branch or on another one.

    Raises EngineError if AWS refuses.
    """
    gitlab = yaml.safe_load(_SETTINGS.read_text(encoding="utf-8"))["config"]["buildyard-bootstrap:gitlab"]
    token = issue_to_job(
        signing_key(data),
        gitlab=gitlab["url"],
        project=gitlab["project"],
        ref=ref or gitlab.get("default-branch", "main"),
    )
    session = boto3.Session(CREDENTIALS, CREDENTIALS, region_name=REGION)
    account = session.client("sts", endpoint_url=endpoints.aws).get_caller_identity()["Account"]
    try:
        got = session.client("sts", endpoint_url=endpoints.aws).assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="job", WebIdentityToken=token
        )["Credentials"]
    except ClientError as error:
        raise EngineError(f"The role {role} cannot be assumed: {error}. `make bootstrap` creates the roles.") from None
    return Credentials(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
