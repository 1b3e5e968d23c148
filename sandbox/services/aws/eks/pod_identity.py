"""EKS Pod Identity associations, which moto lacks: the role of a service account's pods.

Behaviour: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html
"""

import json
import string
from typing import Any

from moto.core.utils import utcnow
from moto.eks.exceptions import InvalidParameterException, ResourceInUseException, ResourceNotFoundException
from moto.eks.models import EKSBackend, paginated_list
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random

_SERVICE = "pods.eks.amazonaws.com"
_CHANGEABLE = ("roleArn", "disableSessionTags", "targetRoleArn", "policy")


class PodIdentityAssociations(EKSBackend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.associations: dict[str, dict[str, Any]] = {}  # by association id
        self._ids_by_token: dict[str, str] = {}  # a repeated clientRequestToken returns the same association

    def create_association(self, cluster_name: str, request: dict[str, Any]) -> dict[str, Any]:
        self.describe_cluster(cluster_name)
        token = request.get("clientRequestToken")
        if token in self._ids_by_token:
            return self.describe_association(cluster_name, self._ids_by_token[token])
        namespace, service_account = request["namespace"], request["serviceAccount"]
        for other in self._of(cluster_name, namespace, service_account):
            raise ResourceInUseException(
                clusterName=cluster_name, message=f"Association already exists: {other['associationId']}"
            )
        self._require_assumable(request["roleArn"])
        suffix = "".join(mock_random.choices(string.ascii_lowercase + string.digits, k=17))
        association_id = f"a-{suffix}"
        now = utcnow()
        self.associations[association_id] = {
            "clusterName": cluster_name,
            "namespace": namespace,
            "serviceAccount": service_account,
            "associationArn": f"arn:{self.partition}:eks:{self.region_name}:{self.account_id}"
            f":podidentityassociation/{cluster_name}/{association_id}",
            "associationId": association_id,
            "tags": request.get("tags") or {},
            "createdAt": now,
            "modifiedAt": now,
            "disableSessionTags": False,
            **_changes(request),
        }
        if token:
            self._ids_by_token[token] = association_id
        return self.associations[association_id]

    def describe_association(self, cluster_name: str, association_id: str) -> dict[str, Any]:
        self.describe_cluster(cluster_name)
        association = self.associations.get(association_id)
        if association is None or association["clusterName"] != cluster_name:
            raise ResourceNotFoundException(
                clusterName=cluster_name,
                message=f"No pod identity association found for id: {association_id} in cluster: {cluster_name}.",
            )
        return association

    def list_associations(
        self,
        cluster_name: str,
        *,
        namespace: str | None,
        service_account: str | None,
        max_results: int,
        next_token: str | None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """One page of summaries, and the token of the next page."""
        self.describe_cluster(cluster_name)
        found = {each["associationId"]: each for each in self._of(cluster_name, namespace, service_account)}
        page, next_page = paginated_list(list(found), max_results, next_token)
        shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        return [{key: found[association_id][key] for key in shown} for association_id in page], next_page

    def update_association(self, cluster_name: str, association_id: str, request: dict[str, Any]) -> dict[str, Any]:
        association = self.describe_association(cluster_name, association_id)
        if "roleArn" in request:
            self._require_assumable(request["roleArn"])
        association.update(_changes(request), modifiedAt=utcnow())
        return association

    def delete_association(self, cluster_name: str, association_id: str) -> dict[str, Any]:
        association = self.describe_association(cluster_name, association_id)
        del self.associations[association_id]
        return association

    def association_of(self, cluster_name: str, namespace: str, service_account: str) -> dict[str, Any] | None:
        """The association of a service account, if it has one."""
        return next(iter(self._of(cluster_name, namespace, service_account)), None)

    def _of(self, cluster: str, namespace: str | None, service_account: str | None) -> list[dict[str, Any]]:
        wanted = {"clusterName": cluster, "namespace": namespace, "serviceAccount": service_account}
        return [
            each
            for each in self.associations.values()
            if all(value is None or each[key] == value for key, value in wanted.items())
        ]

    def _require_assumable(self, role_arn: str) -> None:
        """Refuse a role that does not exist, or that EKS may not assume with session tags.

        https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
        """
        try:
            role = iam_backends[self.account_id][self.partition].get_role_by_arn(role_arn)
        except NotFoundException:
            raise InvalidParameterException(message="Role provided in the request does not exist.") from None
        if not {"sts:AssumeRole", "sts:TagSession"} <= _allowed_to_pods(role.assume_role_policy_document):
            raise InvalidParameterException(
                message=f"Trust policy of role {role_arn} must allow sts:AssumeRole and sts:TagSession to {_SERVICE}."
            )


def _changes(request: dict[str, Any]) -> dict[str, Any]:
    return {key: request[key] for key in _CHANGEABLE if key in request}


def _allowed_to_pods(trust_policy: str) -> set[str]:
    allowed: set[str] = set()
    for statement in _listed(json.loads(trust_policy).get("Statement", [])):
        services = _listed(statement.get("Principal", {}).get("Service", []))
        if statement.get("Effect") == "Allow" and _SERVICE in services:
            allowed.update(_listed(statement.get("Action", [])))
    return allowed


def _listed(value: Any) -> list[Any]:
    """IAM documents hold one item or a list of them."""
    return value if isinstance(value, list) else [value]
