"""Objects beyond the API server's limits, which it refuses."""

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient

NAMESPACES = "/api/v1/namespaces"
SECRETS = f"{NAMESPACES}/default/secrets"
CONFIG_MAPS = f"{NAMESPACES}/default/configmaps"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
MEBIBYTE = 1024 * 1024


def labelled(key: str, value: str) -> dict[str, Any]:
    return {"metadata": {"name": "a", "labels": {key: value}}}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (NAMESPACES, {"metadata": {"name": "n" * 64}}, "must be no more than 63 characters"),
        (NAMESPACES, {"metadata": {"name": "a.b"}}, "a lowercase RFC 1123 name"),
        (SECRETS, {"metadata": {"name": "s" * 254}}, "must be no more than 253 characters"),
        (ROLES, {"metadata": {"name": "a/b"}}, "nor contain '/'"),
        (SECRETS, labelled("k" * 64, "a"), "name part must be no more than 63 characters"),
        (SECRETS, labelled("a b", "a"), "name part must consist of"),
        (SECRETS, labelled("example.com/", "a"), "name part must consist of"),
        (SECRETS, labelled("Example/k", "a"), "prefix part must be a lowercase"),
        (SECRETS, labelled(f"{'p' * 254}/k", "a"), "prefix part must be a lowercase"),
        (SECRETS, labelled("k", "v" * 64), "must be no more than 63 characters"),
        (SECRETS, labelled("k", "a b"), "a valid label must be an empty string or consist of"),
        (SECRETS, {"metadata": {"name": "a", "annotations": {"a b": ""}}}, "name part must consist of"),
        (
            SECRETS,
            {"metadata": {"name": "a", "annotations": {"k": "v" * 256 * 1024}}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        (CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"a b": ""}}, "a valid config key must consist of"),
        (CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k" * 254: ""}}, "no more than 253 characters"),
        (CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k": "v" * (MEBIBYTE + 1)}}, "more than 1048576 bytes"),
        (SECRETS, {"metadata": {"name": "a"}, "stringData": {"k": "v" * (MEBIBYTE + 1)}}, "more than 1048576 bytes"),
    ],
)
def test_an_object_beyond_a_limit_is_refused(api: FlaskClient, path: str, body: dict[str, Any], message: str) -> None:
    answer = api.post(path, json=body)
    assert answer.status_code == 422, answer.get_json()
    assert message in answer.get_json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (NAMESPACES, {"metadata": {"name": "n" * 63}}),
        (SECRETS, {"metadata": {"name": "s" * 253}}),
        (ROLES, {"metadata": {"name": "system:Some_Role"}}),
        (SECRETS, labelled(f"{'p' * 253}/{'K' * 63}", "V" * 63)),
        (SECRETS, labelled("k", "")),
        (SECRETS, {"metadata": {"name": "a", "annotations": {"Example.com/k": "any text\n"}}}),
        (CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"k" * 253: "v" * MEBIBYTE}}),
        (SECRETS, {"metadata": {"name": "a"}, "data": {"k": base64.b64encode(b"v" * MEBIBYTE).decode()}}),
    ],
)
def test_an_object_just_within_the_limits_is_accepted(api: FlaskClient, path: str, body: dict[str, Any]) -> None:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, answer.get_json()
