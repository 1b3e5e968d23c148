# ruff: noqa: S106 (a function's token is its name)
"""The data sources about service quotas, and about all that exists of what they limit."""

from botocore.exceptions import ClientError

from sandbox.providers.aws.connection import AwsConnection
from sandbox.providers.framework import Function, Property
from sandbox.values import Properties

_REGION = {"region": Property()}


def get_service_quota(connection: AwsConnection, arguments: Properties) -> Properties:
    client = connection.service_quotas(arguments)
    wanted = {"ServiceCode": arguments["serviceCode"], "QuotaCode": arguments["quotaCode"]}
    # The original asks for the default first, and for the account's own value then, which not every quota has.
    default = client.get_aws_default_service_quota(**wanted)["Quota"]
    try:
        value = client.get_service_quota(**wanted)["Quota"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            raise
        value = default["Value"]
    return {
        "adjustable": default["Adjustable"],
        "arn": default["QuotaArn"],
        "defaultValue": default["Value"],
        "globalQuota": default["GlobalQuota"],
        "id": default["QuotaArn"],
        "quotaCode": default["QuotaCode"],
        "quotaName": default["QuotaName"],
        "region": connection.region_of(arguments),
        "serviceCode": default["ServiceCode"],
        "serviceName": default.get("ServiceName", ""),
        "usageMetrics": [],
        "value": value,
    }


def get_roles(connection: AwsConnection, arguments: Properties) -> Properties:  # noqa: ARG001 (no filter is supported)
    pages = connection.iam().get_paginator("list_roles").paginate()
    roles = [role for page in pages for role in page["Roles"]]
    return {
        "arns": sorted(role["Arn"] for role in roles),
        "id": connection.region,
        "names": sorted(role["RoleName"] for role in roles),
    }


QUOTA_FUNCTIONS = (
    Function(
        token="aws:servicequotas/getServiceQuota:getServiceQuota",
        arguments={"quotaCode": Property(required=True), "serviceCode": Property(required=True), **_REGION},
        call=get_service_quota,
    ),
    Function(
        token="aws:iam/getRoles:getRoles",
        arguments={},
        call=get_roles,
    ),
)
