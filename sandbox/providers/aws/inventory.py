# ruff: noqa: S106 (a function's token is its name)
"""The data sources that list what exists: ECR's repositories, and tagged resources."""

from typing import Any

from sandbox.providers.aws.connection import AwsConnection
from sandbox.providers.framework import Function, Property
from sandbox.values import Properties

_REGION = {"region": Property()}


def get_repositories(connection: AwsConnection, arguments: Properties) -> Properties:
    pages = connection.ecr(arguments).get_paginator("describe_repositories").paginate()
    names = sorted(each["repositoryName"] for page in pages for each in page["repositories"])
    region = connection.region_of(arguments)
    return {"id": region, "names": names, "region": region}


def get_repository(connection: AwsConnection, arguments: Properties) -> Properties:
    client = connection.ecr(arguments)
    found: Any = client.describe_repositories(repositoryNames=[arguments["name"]])["repositories"][0]
    pages = client.get_paginator("describe_images").paginate(repositoryName=arguments["name"])
    images: Any = [image for page in pages for image in page["imageDetails"]]
    newest: Any = max(images, key=lambda image: image["imagePushedAt"], default={})
    tags = client.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    encryption = found["encryptionConfiguration"]
    filters = found.get("imageTagMutabilityExclusionFilters") or []
    return {
        "arn": found["repositoryArn"],
        "encryptionConfigurations": [
            {"encryptionType": encryption["encryptionType"], "kmsKey": encryption.get("kmsKey", "")}
        ],
        "id": found["repositoryName"],
        "imageScanningConfigurations": [found["imageScanningConfiguration"]],
        "imageTagMutability": found["imageTagMutability"],
        "imageTagMutabilityExclusionFilters": filters,
        "mostRecentImageTags": newest.get("imageTags", []),
        "name": found["repositoryName"],
        "region": connection.region_of(arguments),
        "registryId": found["registryId"],
        "repositoryUrl": found["repositoryUri"],
        "tags": {tag["Key"]: tag["Value"] for tag in tags},
    }


def get_resources(connection: AwsConnection, arguments: Properties) -> Properties:
    filters = [{"Key": each["key"], "Values": each.get("values", [])} for each in arguments.get("tagFilters", [])]
    pages = (
        connection.tagging(arguments)
        .get_paginator("get_resources")
        .paginate(TagFilters=filters, ResourceTypeFilters=arguments.get("resourceTypeFilters", []))
    )
    region = connection.region_of(arguments)
    return {
        "id": region,
        "region": region,
        "resourceTagMappingLists": [
            {
                "complianceDetails": [],
                "resourceArn": each["ResourceARN"],
                "tags": {tag["Key"]: tag["Value"] for tag in each["Tags"]},
            }
            for page in pages
            for each in page["ResourceTagMappingList"]
        ],
    }


INVENTORY = (
    Function(token="aws:ecr/getRepositories:getRepositories", arguments=_REGION, call=get_repositories),
    Function(
        token="aws:ecr/getRepository:getRepository",
        arguments={"name": Property(required=True), "registryId": Property(), "tags": Property(), **_REGION},
        call=get_repository,
    ),
    Function(
        token="aws:resourcegroupstaggingapi/getResources:getResources",
        arguments={"resourceTypeFilters": Property(), "tagFilters": Property(), **_REGION},
        call=get_resources,
    ),
)
