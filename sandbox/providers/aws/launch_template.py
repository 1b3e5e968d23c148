"""EC2 launch templates: each change of their data is a new version."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sandbox.providers.aws.connection import REGION, TAGS, AwsConnection, AwsKind, tag_changes, tag_outputs
from sandbox.providers.framework import Autoname, Property
from sandbox.values import Properties, PropertyValue

_EBS = {
    "deleteOnTermination": Property(),
    "encrypted": Property(),
    "iops": Property(computed=True),
    "kmsKeyId": Property(),
    "snapshotId": Property(),
    "throughput": Property(computed=True),
    "volumeSize": Property(computed=True),
    "volumeType": Property(computed=True),
}

# The properties that make up a version, under Pulumi's names.
_DATA: Mapping[str, Property] = {
    "blockDeviceMappings": Property(
        fields={
            "deviceName": Property(),
            "ebs": Property(fields=_EBS),
            "noDevice": Property(),
            "virtualName": Property(),
        }
    ),
    "ebsOptimized": Property(),
    "imageId": Property(),
    "instanceType": Property(),
    "keyName": Property(),
    "metadataOptions": Property(
        computed=True,
        fields={
            "httpEndpoint": Property(computed=True),
            "httpProtocolIpv6": Property(computed=True),
            "httpPutResponseHopLimit": Property(computed=True),
            "httpTokens": Property(computed=True),
            "instanceMetadataTags": Property(computed=True),
        },
    ),
    "monitoring": Property(fields={"enabled": Property()}),
    "tagSpecifications": Property(fields={"resourceType": Property(), "tags": Property()}),
    "userData": Property(),
    "vpcSecurityGroupIds": Property(equal=lambda old, new: sorted(old) == sorted(new)),
}

# EC2 has booleans where pulumi-aws has "true" and "false", which distinguish false from absent.
_NULLABLE_BOOLEANS = frozenset({"deleteOnTermination", "ebsOptimized", "encrypted"})
_NAMES = {"vpcSecurityGroupIds": "SecurityGroupIds"}


class LaunchTemplate(AwsKind):
    """https://www.pulumi.com/registry/packages/aws/api-docs/ec2/launchtemplate/. The id is EC2's."""

    type = "aws:ec2/launchTemplate:LaunchTemplate"
    inputs: ClassVar = {
        "name": Property(replaces=True),
        "description": Property(),
        "updateDefaultVersion": Property(),
        **_DATA,
        **TAGS,
        **REGION,
    }
    computed = frozenset({"arn", "defaultVersion", "latestVersion"})
    autoname = Autoname(property="name", limit=125)

    def outputs_changed_by(self, changed: frozenset[str]) -> frozenset[str]:
        makes_version = not changed.isdisjoint({*_DATA, "description"})
        return frozenset({"defaultVersion", "latestVersion"}) if makes_version else frozenset()

    def candidates(self, connection: AwsConnection, inputs: Properties) -> list[str]:
        named: Any = [{"Name": "launch-template-name", "Values": [inputs["name"]]}]
        found = connection.ec2(inputs).describe_launch_templates(Filters=named)["LaunchTemplates"]
        return [each["LaunchTemplateId"] for each in found]

    def create(self, connection: AwsConnection, inputs: Properties) -> tuple[str, Properties]:
        tags: Any = [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()]
        made = connection.ec2(inputs).create_launch_template(
            LaunchTemplateName=inputs["name"],
            VersionDescription=inputs.get("description", ""),
            LaunchTemplateData=_to_ec2(inputs),
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}] if tags else [],
        )
        return self.made(connection, made["LaunchTemplate"]["LaunchTemplateId"], inputs)

    def update(
        self, connection: AwsConnection, resource_id: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        client = connection.ec2(inputs)
        latest = outputs["latestVersion"]
        if any(inputs.get(key) != outputs.get(key) for key in (*_DATA, "description")):
            version = client.create_launch_template_version(
                LaunchTemplateId=resource_id,
                VersionDescription=inputs.get("description", ""),
                LaunchTemplateData=_to_ec2(inputs),
            )
            latest = version["LaunchTemplateVersion"]["VersionNumber"]
        if inputs.get("updateDefaultVersion"):
            client.modify_launch_template(LaunchTemplateId=resource_id, DefaultVersion=str(latest))
        added, removed = tag_changes(outputs, inputs)
        if removed:
            client.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in removed])
        if added:
            tags: Any = [{"Key": key, "Value": value} for key, value in added.items()]
            client.create_tags(Resources=[resource_id], Tags=tags)
        return self.read(connection, resource_id, outputs)

    def delete(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> None:
        connection.ec2(outputs).delete_launch_template(LaunchTemplateId=resource_id)

    def read(self, connection: AwsConnection, resource_id: str, outputs: Properties) -> Properties:
        client = connection.ec2(outputs)
        latest = client.describe_launch_template_versions(LaunchTemplateId=resource_id, Versions=["$Latest"])[
            "LaunchTemplateVersions"
        ][0]
        template = client.describe_launch_templates(LaunchTemplateIds=[resource_id])["LaunchTemplates"][0]
        region, account = connection.region_of(outputs), template["CreatedBy"].split(":")[4]
        return {
            **dict.fromkeys(_DATA),
            **_from_ec2(latest["LaunchTemplateData"]),
            "arn": f"arn:{template['CreatedBy'].split(':')[1]}:ec2:{region}:{account}:launch-template/{resource_id}",
            "name": template["LaunchTemplateName"],
            "defaultVersion": template["DefaultVersionNumber"],
            "latestVersion": template["LatestVersionNumber"],
            "description": latest.get("VersionDescription") or None,
            "region": region,
            **tag_outputs({tag["Key"]: tag["Value"] for tag in template.get("Tags", [])}),
        }


def _to_ec2(inputs: Properties) -> Any:
    """The data of a version in EC2's form, from a resource's properties."""
    return {_ec2_name(key): _value_to_ec2(key, inputs[key]) for key in _DATA if key in inputs}


def _ec2_name(key: str) -> str:
    return _NAMES.get(key, key[:1].upper() + key[1:])


def _value_to_ec2(key: str, value: PropertyValue) -> Any:
    if key in _NULLABLE_BOOLEANS:
        return str(value).lower() == "true"
    if key == "tags":
        return [{"Key": name, "Value": text} for name, text in value.items()]
    if isinstance(value, dict):
        return {_ec2_name(name): _value_to_ec2(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_value_to_ec2("", item) for item in value]
    return value


def _from_ec2(data: Mapping[str, Any]) -> Properties:
    """A version's data as properties."""
    names = {_ec2_name(key): key for key in _DATA}
    found = {names[name]: _value_from_ec2(names[name], value) for name, value in data.items() if name in names}
    # EC2 returns the template's own tags among those of its instances.
    launched = [each for each in found.get("tagSpecifications", []) if each["resourceType"] != "launch-template"]
    return {**found, "tagSpecifications": launched or None}


def _value_from_ec2(key: str, value: Any) -> PropertyValue:
    if key in _NULLABLE_BOOLEANS:
        return "true" if value else "false"
    if key == "tags":
        return {tag["Key"]: tag["Value"] for tag in value}
    if isinstance(value, dict):
        lowered = {name[:1].lower() + name[1:]: item for name, item in value.items()}
        return {name: _value_from_ec2(name, item) for name, item in lowered.items()}
    if isinstance(value, list):
        return [_value_from_ec2("", item) for item in value]
    return value
