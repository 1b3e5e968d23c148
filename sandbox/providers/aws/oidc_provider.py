# ruff: noqa: ARG002 (methods keep the framework's signatures)
"""IAM's OpenID Connect providers: the issuers whose tokens IAM takes."""

from typing import Any, ClassVar

from sandbox.providers.aws.connection import TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.framework import Property
from sandbox.values import Properties


class OpenIdConnectProvider(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/iam/openidconnectprovider/. The id is the ARN."""

    type = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    inputs: ClassVar = {
        "clientIdLists": Property(required=True, replaces=True),  # AWS changes them in place; moto cannot
        "thumbprintLists": Property(computed=True),
        "url": Property(required=True, replaces=True),
        **TAGS,
    }
    computed = frozenset({"arn"})

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        issuer = inputs["url"].removeprefix("https://")
        known = connection.iam().list_open_id_connect_providers()["OpenIDConnectProviderList"]
        return [each["Arn"] for each in known if each["Arn"].partition(":oidc-provider/")[2] == issuer]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        tags: Any = [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()]
        made = connection.iam().create_open_id_connect_provider(
            Url=inputs["url"],
            ClientIDList=inputs["clientIdLists"],
            ThumbprintList=inputs.get("thumbprintLists", []),
            Tags=tags,
        )["OpenIDConnectProviderArn"]
        return self.made(connection, made, inputs)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        """Read it. IAM returns the URL without its scheme; the recorded one stays while it is the same."""
        found = connection.iam().get_open_id_connect_provider(OpenIDConnectProviderArn=resource_id)
        return {
            "arn": resource_id,
            "clientIdLists": found["ClientIDList"],
            "thumbprintLists": found.get("ThumbprintList", []),
            "url": f"https://{found['Url'].removeprefix('https://')}",
            **tag_outputs({tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}),
        }

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.iam()
        thumbprints = inputs.get("thumbprintLists")
        if thumbprints is not None and thumbprints != outputs.get("thumbprintLists"):
            client.update_open_id_connect_provider_thumbprint(
                OpenIDConnectProviderArn=resource_id, ThumbprintList=thumbprints
            )
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.untag_open_id_connect_provider(OpenIDConnectProviderArn=resource_id, TagKeys=removed)
        if added:
            tags: Any = [{"Key": key, "Value": value} for key, value in added.items()]
            client.tag_open_id_connect_provider(OpenIDConnectProviderArn=resource_id, Tags=tags)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.iam().delete_open_id_connect_provider(OpenIDConnectProviderArn=resource_id)
