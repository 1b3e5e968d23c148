"""The API server of the tests: real enough to be believed."""

import pytest

from tests.kubernetes.api_server import ApiServer, RefusalError

pytestmark = pytest.mark.kubernetes


def test_unknown_fields_are_refused(api_server: ApiServer) -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "typo"}, "sepc": {}}
    with pytest.raises(RefusalError, match='unknown field "sepc"'):
        api_server.create(manifest, dry_run=True)


def test_a_dry_run_creates_nothing(api_server: ApiServer) -> None:
    api_server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dry"}}, dry_run=True)
    with pytest.raises(RefusalError, match='"dry" not found'):
        api_server.request("GET", "/api/v1/namespaces/dry")


def test_other_users_have_no_rights_of_their_own(api_server: ApiServer) -> None:
    with pytest.raises(RefusalError, match='User "somebody" cannot list resource "pods"'):
        api_server.request("GET", "/api/v1/namespaces/default/pods", user="somebody")
