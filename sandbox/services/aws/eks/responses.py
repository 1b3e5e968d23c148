"""The EKS operations over HTTP. Results have botocore's shapes: moto serialises them by botocore's model."""

import json
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.eks.models import eks_backends
from moto.eks.responses import EKSResponse

from sandbox.services.aws.eks.models import EksBackend


class EksResponse(EKSResponse):
    @property
    def eks_backend(self) -> EksBackend:
        return cast("EksBackend", eks_backends[self.current_account][self.region])

    def update_cluster_version(self) -> ActionResult:
        update = self.eks_backend.update_cluster_version(self._get_param("name"), self._get_param("version"))
        return ActionResult({"update": update})

    def create_nodegroup(self) -> ActionResult:
        return ActionResult({"nodegroup": self.eks_backend.make_node_group(self._get_param("name"), self._body())})

    def update_nodegroup_config(self) -> ActionResult:
        body = self._body()
        update = self.eks_backend.update_nodegroup_config(
            self._get_param("name"),
            self._get_param("nodegroupName"),
            labels=body.get("labels"),
            taints=body.get("taints"),
            scaling_config=body.get("scalingConfig"),
            update_config=body.get("updateConfig"),
            node_repair_config=body.get("nodeRepairConfig"),
            warm_pool_config=body.get("warmPoolConfig"),
        )
        return ActionResult({"update": update})

    def update_nodegroup_version(self) -> ActionResult:
        update = self.eks_backend.update_node_group_version(
            self._get_param("name"), self._get_param("nodegroupName"), self._body()
        )
        return ActionResult({"update": update})

    def describe_update(self) -> ActionResult:
        return ActionResult({"update": self.eks_backend.describe_update(self._get_param("updateId"))})

    def create_addon(self) -> ActionResult:
        return ActionResult({"addon": self.eks_backend.create_addon(self._get_param("name"), self._body())})

    def describe_addon(self) -> ActionResult:
        addon = self.eks_backend.describe_addon(self._get_param("name"), self._get_param("addonName"))
        return ActionResult({"addon": addon})

    def list_addons(self) -> ActionResult:
        names = self.eks_backend.list_addons(self._get_param("name"))
        return ActionResult({"addons": names})

    def delete_addon(self) -> ActionResult:
        addon = self.eks_backend.delete_addon(self._get_param("name"), self._get_param("addonName"))
        return ActionResult({"addon": addon})

    def create_pod_identity_association(self) -> ActionResult:
        association = self.eks_backend.create_association(self._get_param("name"), self._body())
        return ActionResult({"association": association})

    def describe_pod_identity_association(self) -> ActionResult:
        return ActionResult({"association": self.eks_backend.describe_association(*self._association())})

    def list_pod_identity_associations(self) -> ActionResult:
        found, next_token = self.eks_backend.list_associations(
            self._get_param("name"),
            namespace=self._get_param("namespace"),
            service_account=self._get_param("serviceAccount"),
            max_results=self._get_int_param("maxResults", 100),
            next_token=self._get_param("nextToken"),
        )
        return ActionResult({"associations": found, "nextToken": next_token})

    def update_pod_identity_association(self) -> ActionResult:
        association = self.eks_backend.update_association(*self._association(), self._body())
        return ActionResult({"association": association})

    def delete_pod_identity_association(self) -> ActionResult:
        return ActionResult({"association": self.eks_backend.delete_association(*self._association())})

    def tag_resource(self) -> ActionResult:
        self.eks_backend.tags_of(self._extract_arn_from_path()).update(self._get_param("tags"))
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        tags = self.eks_backend.tags_of(self._extract_arn_from_path())
        keys = self._get_param("tagKeys")
        for key in keys if isinstance(keys, list) else [keys]:
            tags.pop(key, None)
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult({"tags": self.eks_backend.tags_of(self._extract_arn_from_path())})

    def _association(self) -> tuple[str, str]:
        return self._get_param("name"), self._get_param("associationId")

    def _body(self) -> dict[str, Any]:
        """The request's JSON object, under the names of botocore's model."""
        body: dict[str, Any] = json.loads(self.body or "{}")
        return body
