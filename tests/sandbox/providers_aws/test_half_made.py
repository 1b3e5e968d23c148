"""Resources that AWS creates but does not return afterwards."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.providers.aws.connection import AwsConnection
from sandbox.providers.aws.iam import Role
from sandbox.providers.framework import IncompleteError


class SilentIam:
    """An IAM client that creates roles and then fails to read them."""

    def create_role(self, **request: Any) -> None:
        self.request = request

    def get_role(self, **request: Any) -> None:
        raise ClientError({"Error": {"Code": "ServiceFailure", "Message": "come back later"}}, "GetRole")


def test_a_role_that_cannot_be_read_back_is_still_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = AwsConnection("http://127.0.0.1:1", "ap-east-1")
    monkeypatch.setattr(connection, "iam", SilentIam)
    inputs = {"name": "push", "assumeRolePolicy": json.dumps({}), "maxSessionDuration": 3600, "path": "/"}
    with pytest.raises(IncompleteError, match="come back later") as raised:
        Role().create(connection, inputs)
    assert raised.value.resource_id == "push", "nobody would ever delete the role"
