# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""ECR: repository policies, account settings, pull-through cache rules, and templates of repositories."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from sandbox.providers.aws.connection import REGION, AwsConnection, AwsKind
from sandbox.providers.aws.documents import is_json, same_json, same_policy
from sandbox.providers.framework import Property
from sandbox.values import Properties

if TYPE_CHECKING:  # the stubs are a tool of the type checker, not installed where the sandbox just runs
    from mypy_boto3_ecr.type_defs import RepositoryCreationTemplateTypeDef


class RepositoryPolicy(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ecr/repositorypolicy/. The id is the repository's name."""

    type = "aws:ecr/repositoryPolicy:RepositoryPolicy"
    inputs: ClassVar = {
        "policy": Property(required=True, equal=same_policy),
        "repository": Property(required=True, replaces=True),
        **REGION,
    }
    computed = frozenset({"registryId"})

    def validate(self, inputs: Properties) -> Iterable[tuple[str, str]]:
        if not is_json(inputs.get("policy")):
            yield "policy", "The repository policy must be a JSON object, as a string."

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["repository"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        self._set(connection, inputs)
        return self.made(connection, inputs["repository"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        found = connection.ecr(outputs).get_repository_policy(repositoryName=resource_id)
        live, recorded = found["policyText"], outputs.get("policy")
        return {
            "policy": recorded if recorded and same_policy(recorded, live) else live,
            "registryId": found["registryId"],
            "repository": found["repositoryName"],
            "region": connection.region_of(outputs),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._set(connection, inputs)
        return self.read(connection, resource_id, {**outputs, **inputs})

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.ecr(outputs).delete_repository_policy(repositoryName=resource_id)

    @staticmethod
    def _set(connection: AwsConnection, inputs: Properties) -> None:
        connection.ecr(inputs).set_repository_policy(
            repositoryName=inputs["repository"], policyText=inputs["policy"], force=False
        )


class AccountSetting(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ecr/accountsetting/. The id is the setting's name."""

    type = "aws:ecr/accountSetting:AccountSetting"
    inputs: ClassVar = {
        "name": Property(replaces=True),
        "value": Property(required=True),
        **REGION,
    }

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return []  # setting it again does no harm

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        self._put(connection, inputs)
        return self.made(connection, inputs["name"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        found = connection.ecr(outputs).get_account_setting(name=resource_id)
        return {"name": found["name"], "value": found["value"], "region": connection.region_of(outputs)}

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        self._put(connection, inputs)
        return self.read(connection, resource_id, {**outputs, **inputs})

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        """Do nothing, as AWS's provider: the account keeps its setting."""

    @staticmethod
    def _put(connection: AwsConnection, inputs: Properties) -> None:
        connection.ecr(inputs).put_account_setting(name=inputs["name"], value=inputs["value"])


class PullThroughCacheRule(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ecr/pullthroughcacherule/. The id is the prefix."""

    type = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
    inputs: ClassVar = {
        "ecrRepositoryPrefix": Property(required=True, replaces=True),
        "upstreamRegistryUrl": Property(required=True, replaces=True),
        "upstreamRepositoryPrefix": Property(computed=True, replaces=True),
        "credentialArn": Property(),
        "customRoleArn": Property(),
        **REGION,
    }
    computed = frozenset({"registryId"})
    delete_before_replace = True

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["ecrRepositoryPrefix"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        keys = (
            *("ecrRepositoryPrefix", "upstreamRegistryUrl", "upstreamRepositoryPrefix"),
            *("credentialArn", "customRoleArn"),
        )
        connection.ecr(inputs).create_pull_through_cache_rule(**_given(inputs, keys))
        return self.made(connection, inputs["ecrRepositoryPrefix"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        client = connection.ecr(outputs)
        [rule] = client.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[resource_id])["pullThroughCacheRules"]
        return {
            "ecrRepositoryPrefix": rule["ecrRepositoryPrefix"],
            "upstreamRegistryUrl": rule["upstreamRegistryUrl"],
            "upstreamRepositoryPrefix": rule["upstreamRepositoryPrefix"],
            "credentialArn": rule.get("credentialArn"),
            "customRoleArn": rule.get("customRoleArn"),
            "registryId": rule["registryId"],
            "region": connection.region_of(outputs),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        connection.ecr(inputs).update_pull_through_cache_rule(
            ecrRepositoryPrefix=resource_id, **_given(inputs, ("credentialArn", "customRoleArn"))
        )
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.ecr(outputs).delete_pull_through_cache_rule(ecrRepositoryPrefix=resource_id)


_ENCRYPTION = {"encryptionType": Property(), "kmsKey": Property(computed=True)}


class RepositoryCreationTemplate(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ecr/repositorycreationtemplate/. The id is the prefix."""

    type = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
    inputs: ClassVar = {
        "prefix": Property(required=True, replaces=True),
        "appliedFors": Property(required=True),
        "customRoleArn": Property(),
        "description": Property(),
        "encryptionConfigurations": Property(computed=True, fields=_ENCRYPTION),
        "imageTagMutability": Property(default="MUTABLE"),
        "lifecyclePolicy": Property(equal=same_json),
        "repositoryPolicy": Property(equal=same_policy),
        **REGION,
    }
    computed = frozenset({"registryId"})
    delete_before_replace = True

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        return [inputs["prefix"]]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        connection.ecr(inputs).create_repository_creation_template(**_template(inputs))
        return self.made(connection, inputs["prefix"], inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        found = connection.ecr(outputs).describe_repository_creation_templates(prefixes=[resource_id])
        [template] = found["repositoryCreationTemplates"]
        return {
            **_outputs(template, outputs),
            "registryId": found["registryId"],
            "region": connection.region_of(outputs),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        connection.ecr(inputs).update_repository_creation_template(**_template(inputs))
        return self.read(connection, resource_id, {**outputs, **inputs})

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.ecr(outputs).delete_repository_creation_template(prefix=resource_id)


def _template(inputs: Properties) -> Any:
    keys = ("prefix", "description", "imageTagMutability", "lifecyclePolicy", "repositoryPolicy", "customRoleArn")
    encryption = inputs.get("encryptionConfigurations") or []
    return {
        **_given(inputs, keys),
        "appliedFor": inputs["appliedFors"],
        **({"encryptionConfiguration": encryption[0]} if encryption else {}),
    }


def _outputs(template: "RepositoryCreationTemplateTypeDef", recorded: Properties) -> Properties:
    live, known = template.get("lifecyclePolicy"), recorded.get("lifecyclePolicy")
    encryption = template["encryptionConfiguration"]
    return {
        "prefix": template["prefix"],
        "appliedFors": list(template["appliedFor"]),
        "customRoleArn": template.get("customRoleArn"),
        "description": template.get("description"),
        "encryptionConfigurations": [
            {"encryptionType": encryption["encryptionType"], "kmsKey": encryption.get("kmsKey", "")}
        ],
        "imageTagMutability": template["imageTagMutability"],
        "lifecyclePolicy": known if known and live and same_json(known, live) else live,
        "repositoryPolicy": template.get("repositoryPolicy"),
    }


def _given(inputs: Properties, keys: tuple[str, ...]) -> Any:
    return {key: inputs[key] for key in keys if inputs.get(key) is not None}
