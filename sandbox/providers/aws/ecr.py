# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""ECR: repositories and their lifecycle policies."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.aws.documents import is_json, same_json
from sandbox.providers.framework import Autoname, Property
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef


class NotEmptyError(Exception):
    """A repository that still holds images cannot be deleted."""


class Repository(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ecr/repository/. The id is the name."""

    type = "aws:ecr/repository:Repository"
    inputs: ClassVar = {
        "name": Property(replaces=True),
        "imageTagMutability": Property(default="MUTABLE"),
        "imageTagMutabilityExclusionFilters": Property(
            fields={"filter": Property(required=True), "filterType": Property(required=True)}
        ),
        "imageScanningConfiguration": Property(computed=True, fields={"scanOnPush": Property(required=True)}),
        "encryptionConfigurations": Property(
            computed=True, replaces=True, fields={"encryptionType": Property(), "kmsKey": Property(computed=True)}
        ),
        "forceDelete": Property(),
        **TAGS,
        **REGION,
    }
    computed = frozenset({"arn", "registryId", "repositoryUrl"})
    autoname = Autoname(property="name", lowercase=True)

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["name"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        request: dict[str, Any] = {
            "repositoryName": inputs["name"],
            "imageTagMutability": inputs["imageTagMutability"],
            "imageTagMutabilityExclusionFilters": inputs.get("imageTagMutabilityExclusionFilters"),
            "imageScanningConfiguration": inputs.get("imageScanningConfiguration"),
            "encryptionConfiguration": next(iter(inputs.get("encryptionConfigurations", [])), None),
            "tags": [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()],
        }
        client = connection.ecr(inputs)
        made = client.create_repository(**{key: value for key, value in request.items() if value is not None})
        return inputs["name"], self._outputs(connection.region_of(inputs), made["repository"], inputs.get("tags", {}))

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        client = connection.ecr(outputs)
        repository = client.describe_repositories(repositoryNames=[resource_id])["repositories"][0]
        tags = client.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        return self._outputs(connection.region_of(outputs), repository, {tag["Key"]: tag["Value"] for tag in tags})

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.ecr(inputs)
        mutability = ("imageTagMutability", "imageTagMutabilityExclusionFilters")
        if any(inputs.get(key) != outputs.get(key) for key in mutability):
            client.put_image_tag_mutability(
                repositoryName=resource_id, **{key: inputs[key] for key in mutability if key in inputs}
            )
        scanning = inputs.get("imageScanningConfiguration")
        if scanning and scanning != outputs.get("imageScanningConfiguration"):
            client.put_image_scanning_configuration(repositoryName=resource_id, imageScanningConfiguration=scanning)
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_resource(resourceArn=outputs["arn"], tagKeys=removed)
        if added:
            tags: Any = [{"Key": key, "Value": value} for key, value in added.items()]
            client.tag_resource(resourceArn=outputs["arn"], tags=tags)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        """Raises NotEmptyError, worded as the real provider's, for a repository with images and no `forceDelete`."""
        client = connection.ecr(outputs)
        try:
            client.delete_repository(repositoryName=resource_id, force=outputs.get("forceDelete", False))
        except client.exceptions.RepositoryNotEmptyException as error:
            message = f"ECR Repository ({resource_id}) not empty, consider using force_delete: {error}"
            raise NotEmptyError(message) from error

    @staticmethod
    def _outputs(region: str, repository: "RepositoryTypeDef", tags: dict[str, str]) -> Properties:
        encryption = repository["encryptionConfiguration"]
        return {
            "arn": repository["repositoryArn"],
            "name": repository["repositoryName"],
            "registryId": repository["registryId"],
            "repositoryUrl": repository["repositoryUri"],
            "imageTagMutability": repository["imageTagMutability"],
            "imageTagMutabilityExclusionFilters": repository.get("imageTagMutabilityExclusionFilters") or None,
            "imageScanningConfiguration": repository["imageScanningConfiguration"],
            "encryptionConfigurations": [
                {"encryptionType": encryption["encryptionType"], "kmsKey": encryption.get("kmsKey", "")}
            ],
            "region": region,
            **tag_outputs(tags),
        }


class LifecyclePolicy(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ecr/lifecyclepolicy/. The id is the repository's name.

    As in pulumi-aws, a changed policy replaces the resource, and the old one is deleted first: a repository has one.
    """

    type = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    inputs: ClassVar = {
        "policy": Property(required=True, replaces=True, equal=same_json),
        "repository": Property(required=True, replaces=True),
        **REGION,
    }
    computed = frozenset({"registryId"})
    delete_before_replace = True

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if not is_json(inputs.get("policy")):
            yield "policy", "The lifecycle policy must be a JSON object, as a string."

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["repository"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        repository = inputs["repository"]
        connection.ecr(inputs).put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=inputs["policy"])
        return self.made(connection, repository, inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        found = connection.ecr(outputs).get_lifecycle_policy(repositoryName=resource_id)
        live, recorded = found["lifecyclePolicyText"], outputs.get("policy")
        return {
            "policy": recorded if recorded and same_json(recorded, live) else live,
            "registryId": found["registryId"],
            "repository": found["repositoryName"],
            "region": connection.region_of(outputs),
        }

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.ecr(outputs).delete_lifecycle_policy(repositoryName=resource_id)
