"""AWS's partitions: sets of regions with ARNs and domains of their own, as one table."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition, whose regions' names begin with `regions`."""

    name: str
    regions: str
    dns_suffix: str = "amazonaws.com"


PARTITIONS = (
    Partition(name="aws-cn", regions="cn-", dns_suffix="amazonaws.com.cn"),
    Partition(name="aws-us-gov", regions="us-gov-"),
    Partition(name="aws-eusc", regions="eusc-", dns_suffix="amazonaws.eu"),
    Partition(name="aws-iso", regions="us-iso-", dns_suffix="c2s.ic.gov"),
    Partition(name="aws-iso-b", regions="us-isob-", dns_suffix="sc2s.sgov.gov"),
    Partition(name="aws-iso-e", regions="eu-isoe-", dns_suffix="cloud.adc-e.uk"),
    Partition(name="aws-iso-f", regions="us-isof-", dns_suffix="csp.hci.ic.gov"),
    Partition(name="aws", regions=""),
)
"""All partitions; the last one has all other regions.

Service principals, such as `ec2.amazonaws.com`, and the audience of tokens, `sts.amazonaws.com`, are the same in each.
Source: https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
"""

_SUFFIXES = "|".join(re.escape(suffix) for suffix in dict.fromkeys(each.dns_suffix for each in PARTITIONS))
ECR_HOST = rf"[0-9]{{12}}\.dkr\.ecr\.[a-z0-9-]+\.(?:{_SUFFIXES})"
"""The pattern of the hosts of private ECR registries."""


def partition_of(region: str) -> Partition:
    """The partition of a region."""
    return next(each for each in PARTITIONS if region.startswith(each.regions))


def registry_host(account: str, region: str) -> str:
    """The host of an AWS account's ECR registry.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
    """
    return f"{account}.dkr.ecr.{region}.{partition_of(region).dns_suffix}"
