"""AWS on a full disk: a change that cannot be recorded is not made, and the service keeps running."""

import resource
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox import server
from tests.sandbox.conftest import AwsClient, aws_clients


def names(aws: AwsClient) -> set[str]:
    roles = {role["RoleName"] for role in aws("iam").list_roles()["Roles"]}
    return roles | {each["repositoryName"] for each in aws("ecr").describe_repositories()["repositories"]}


def test_what_cannot_be_recorded_is_refused_and_not_made(tmp_path: Path) -> None:
    endpoints = server.start(tmp_path)
    try:
        aws = aws_clients(endpoints)
        aws("ecr").create_repository(repositoryName="before")
        before = names(aws)
        journal = tmp_path / "aws" / "journal.jsonl"
        recorded = journal.read_text()
        with pytest.raises(ClientError, match="already exists"):
            aws("ecr").create_repository(repositoryName="before")
        assert journal.read_text() == recorded, "the journal grows with requests that are refused"
        unlimited = resource.prlimit(endpoints.pid, resource.RLIMIT_FSIZE)
        # No file of the process may grow, as on a full disk.
        resource.prlimit(endpoints.pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 10, unlimited[1]))
        with pytest.raises(ClientError, match="cannot store the change") as refused:
            aws("ecr").create_repository(repositoryName="during")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
        with pytest.raises(ClientError, match="cannot store the change"):
            aws("iam").create_role(RoleName="during", AssumeRolePolicyDocument="{}")
        with pytest.raises(ClientError, match="cannot store the change"):
            aws("ec2").create_vpc(CidrBlock="10.9.0.0/16")
        assert names(aws) == before, "a change was made that nothing will remember"

        resource.prlimit(endpoints.pid, resource.RLIMIT_FSIZE, unlimited)
        aws("ecr").create_repository(repositoryName="after")
        after = names(aws)
        server.stop(tmp_path)
        assert names(aws_clients(server.start(tmp_path))) == after
        assert after == {*before, "after"}
    finally:
        server.stop(tmp_path)
