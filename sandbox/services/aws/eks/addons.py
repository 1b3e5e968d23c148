"""EKS add-ons, which moto lacks. They are active at once, and nothing runs."""

from typing import Any

from moto.core.utils import utcnow
from moto.eks.exceptions import ResourceInUseException, ResourceNotFoundException
from moto.eks.models import EKSBackend
from moto.moto_api._internal import mock_random


class Addons(EKSBackend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.addons: dict[tuple[str, str], dict[str, Any]] = {}  # by cluster and name

    def create_addon(self, cluster_name: str, request: dict[str, Any]) -> dict[str, Any]:
        cluster = self.describe_cluster(cluster_name)
        name = request["addonName"]
        if (cluster_name, name) in self.addons:
            raise ResourceInUseException(clusterName=cluster_name, addonName=name, message="Addon already exists.")
        now = utcnow()
        self.addons[cluster_name, name] = {
            "addonName": name,
            "clusterName": cluster_name,
            "status": "ACTIVE",
            "addonVersion": request.get("addonVersion") or f"v{cluster.version}.0-eksbuild.1",
            **({"configurationValues": values} if (values := request.get("configurationValues")) else {}),
            "health": {"issues": []},
            "addonArn": f"arn:{self.partition}:eks:{self.region_name}:{self.account_id}"
            f":addon/{cluster_name}/{name}/{mock_random.uuid4()}",
            "createdAt": now,
            "modifiedAt": now,
            "tags": request.get("tags") or {},
            "owner": "aws",
            "publisher": "eks",
        }
        return self.addons[cluster_name, name]

    def describe_addon(self, cluster_name: str, name: str) -> dict[str, Any]:
        self.describe_cluster(cluster_name)
        if (cluster_name, name) not in self.addons:
            raise ResourceNotFoundException(
                clusterName=cluster_name, addonName=name, message=f"No addon: {name} found in cluster: {cluster_name}"
            )
        return self.addons[cluster_name, name]

    def list_addons(self, cluster_name: str) -> list[str]:
        self.describe_cluster(cluster_name)
        return sorted(name for cluster, name in self.addons if cluster == cluster_name)

    def delete_addon(self, cluster_name: str, name: str) -> dict[str, Any]:
        addon = self.describe_addon(cluster_name, name)
        del self.addons[cluster_name, name]
        return {**addon, "status": "DELETING"}
