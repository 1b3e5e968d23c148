"""EKS access entries and their access policies, which moto lacks: who may use a cluster's Kubernetes API.

Behaviour: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html and
https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html
"""

import re
from collections.abc import Sequence
from typing import Any

from moto.core.utils import utcnow
from moto.eks.exceptions import (
    InvalidParameterException,
    InvalidRequestException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from moto.eks.models import EKSBackend, paginated_list
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random

API_MODES = ("API", "API_AND_CONFIG_MAP")
"""The authentication modes with access entries. A cluster that an API client creates has CONFIG_MAP by default."""

_RESERVED_GROUPS = ("system:", "eks:", "aws:", "amazon:", "iam:")
_POLICIES = (
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
)
"""Those for people and their tools. EKS has others, for its own components.

Source: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
"""


class AccessEntries(EKSBackend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.access_entries: dict[tuple[str, str], dict[str, Any]] = {}  # by cluster and principal
        self._policies: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}  # of an entry, by the policy's ARN

    def create_access_entry(self, cluster_name: str, request: dict[str, Any]) -> dict[str, Any]:
        self._require_api_mode(cluster_name)
        principal = request["principalArn"]
        self._require_principal(principal)
        _require_groups(request.get("kubernetesGroups") or [])
        if (cluster_name, principal) in self.access_entries:
            raise ResourceInUseException(
                clusterName=cluster_name,
                message="The specified access entry resource is already in use on this cluster.",
            )
        kind, _, name = principal.rpartition(":")[2].partition("/")
        now = utcnow()
        self._policies[cluster_name, principal] = {}
        self.access_entries[cluster_name, principal] = {
            "clusterName": cluster_name,
            "principalArn": principal,
            "kubernetesGroups": request.get("kubernetesGroups") or [],
            "accessEntryArn": f"arn:{self.partition}:eks:{self.region_name}:{self.account_id}:access-entry"
            f"/{cluster_name}/{kind}/{self.account_id}/{name.rpartition('/')[2]}/{mock_random.uuid4()}",
            "createdAt": now,
            "modifiedAt": now,
            "tags": request.get("tags") or {},
            "username": request.get("username") or self._user_name(principal),
            "type": request.get("type") or "STANDARD",
        }
        return self.access_entries[cluster_name, principal]

    def describe_access_entry(self, cluster_name: str, principal: str) -> dict[str, Any]:
        self.describe_cluster(cluster_name)
        if (cluster_name, principal) not in self.access_entries:
            raise ResourceNotFoundException(
                clusterName=cluster_name,
                message=f"The specified principalArn could not be found. You can view your available access entries "
                f"with 'list-access-entries': {principal}",
            )
        return self.access_entries[cluster_name, principal]

    def list_access_entries(
        self, cluster_name: str, max_results: int, next_token: str | None
    ) -> tuple[list[str], str | None]:
        """One page of principals, and the token of the next page."""
        self._require_api_mode(cluster_name)
        principals = sorted(principal for cluster, principal in self.access_entries if cluster == cluster_name)
        page, next_page = paginated_list(principals, max_results, next_token)
        return list(page), next_page

    def update_access_entry(self, cluster_name: str, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        entry = self.describe_access_entry(cluster_name, principal)
        _require_groups(request.get("kubernetesGroups") or [])
        changes: dict[str, Any] = {key: request[key] for key in ("kubernetesGroups", "username") if key in request}
        entry.update(changes, modifiedAt=utcnow())
        return entry

    def delete_access_entry(self, cluster_name: str, principal: str) -> None:
        self.describe_access_entry(cluster_name, principal)
        del self.access_entries[cluster_name, principal], self._policies[cluster_name, principal]

    def associate_access_policy(self, cluster_name: str, principal: str, request: dict[str, Any]) -> dict[str, Any]:
        """Associate a policy, or change the scope of one that is associated already."""
        entry, arn, scope = (
            self.describe_access_entry(cluster_name, principal),
            request["policyArn"],
            request["accessScope"],
        )
        if entry["type"] != "STANDARD":
            raise InvalidRequestException(message="Only entries of type STANDARD have access policies.")
        if arn not in [f"arn:{self.partition}:eks::aws:cluster-access-policy/{name}" for name in _POLICIES]:
            raise InvalidParameterException(message=f"The policyArn parameter format is not valid: {arn}")
        if (scope["type"] == "namespace") != bool(scope.get("namespaces")):
            raise InvalidParameterException(message="namespaces go with the scope type namespace, and with no other.")
        held = self._policies[cluster_name, principal]
        since = held.get(arn, {}).get("associatedAt") or utcnow()
        held[arn] = {
            "policyArn": arn,
            "accessScope": {"type": scope["type"], "namespaces": scope.get("namespaces") or []},
            "associatedAt": since,
            "modifiedAt": utcnow(),
        }
        return held[arn]

    def list_associated_access_policies(self, cluster_name: str, principal: str) -> list[dict[str, Any]]:
        self.describe_access_entry(cluster_name, principal)
        return list(self._policies[cluster_name, principal].values())

    def disassociate_access_policy(self, cluster_name: str, principal: str, arn: str) -> None:
        self.describe_access_entry(cluster_name, principal)
        if self._policies[cluster_name, principal].pop(arn, None) is None:
            raise ResourceNotFoundException(
                clusterName=cluster_name, message=f"The specified policy is not associated with {principal}: {arn}"
            )

    def _require_api_mode(self, cluster_name: str) -> None:
        mode = self.describe_cluster(cluster_name).access_config["authenticationMode"]  # type: ignore[attr-defined]
        if mode not in API_MODES:
            raise InvalidRequestException(
                message="The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform "
                "this operation."
            )

    def _require_principal(self, arn: str) -> None:
        """Refuse a role that does not exist. EKS takes no names with wildcards, and no sessions."""
        try:
            if ":role/" in arn:
                iam_backends[self.account_id][self.partition].get_role_by_arn(arn)
            elif ":user/" not in arn:
                raise NotFoundException(arn)
        except NotFoundException:
            raise InvalidParameterException(
                message="The specified principalArn is invalid: invalid principal."
            ) from None

    def _user_name(self, principal: str) -> str:
        role = re.search(r":role/(?:.*/)?([^/]+)$", principal)
        if role is None:
            return principal
        return f"arn:{self.partition}:sts::{self.account_id}:assumed-role/{role[1]}/{{{{SessionName}}}}"


def _require_groups(groups: Sequence[str]) -> None:
    for group in groups:
        for prefix in _RESERVED_GROUPS:
            if group.startswith(prefix):
                raise InvalidParameterException(
                    message=f"The kubernetes group name {group} is invalid, it cannot start with {prefix}"
                )
