"""The declared properties are those of the SDK."""

import inspect
from typing import Any

import pulumi_aws
import pytest
from pulumi._types import input_type_py_to_pulumi_names
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfigurationArgs
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfigurationInitArgs
from pulumi_aws.s3.bucket_versioning import BucketVersioningInitArgs

from sandbox.providers.aws import provider
from sandbox.providers.aws.connection import AwsConnection
from sandbox.providers.framework import Property, ResourceKind

ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
KINDS = provider("http://127.0.0.1:1").kinds
ARGUMENTS = {
    "aws:ecr/repository:Repository": pulumi_aws.ecr.RepositoryArgs,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": pulumi_aws.ecr.LifecyclePolicyArgs,
    "aws:ecr/repositoryPolicy:RepositoryPolicy": pulumi_aws.ecr.RepositoryPolicyArgs,
    "aws:ecr/accountSetting:AccountSetting": pulumi_aws.ecr.AccountSettingArgs,
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": pulumi_aws.ecr.PullThroughCacheRuleArgs,
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": pulumi_aws.ecr.RepositoryCreationTemplateArgs,
    "aws:iam/role:Role": pulumi_aws.iam.RoleArgs,
    "aws:iam/policy:Policy": pulumi_aws.iam.PolicyArgs,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": pulumi_aws.iam.RolePolicyAttachmentArgs,
    "aws:ec2/launchTemplate:LaunchTemplate": pulumi_aws.ec2.LaunchTemplateArgs,
    "aws:eks/nodeGroup:NodeGroup": pulumi_aws.eks.NodeGroupArgs,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": pulumi_aws.eks.PodIdentityAssociationArgs,
    "aws:autoscaling/tag:Tag": pulumi_aws.autoscaling.TagArgs,
    "aws:eks/accessEntry:AccessEntry": pulumi_aws.eks.AccessEntryArgs,
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": pulumi_aws.eks.AccessPolicyAssociationArgs,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": pulumi_aws.iam.OpenIdConnectProviderArgs,
    "aws:kms/key:Key": pulumi_aws.kms.KeyArgs,
    "aws:kms/alias:Alias": pulumi_aws.kms.AliasArgs,
    "aws:s3/bucket:Bucket": pulumi_aws.s3.BucketArgs,
    "aws:s3/bucketVersioning:BucketVersioning": BucketVersioningInitArgs,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": pulumi_aws.s3.BucketPublicAccessBlockArgs,
    ENCRYPTION: BucketServerSideEncryptionConfigurationInitArgs,
    "aws:s3/bucketPolicy:BucketPolicy": pulumi_aws.s3.BucketPolicyArgs,
    LIFECYCLE: BucketLifecycleConfigurationArgs,
}
NESTED = {
    (
        "aws:ecr/repository:Repository",
        "imageScanningConfiguration",
    ): pulumi_aws.ecr.RepositoryImageScanningConfigurationArgs,
    ("aws:ecr/repository:Repository", "encryptionConfigurations"): pulumi_aws.ecr.RepositoryEncryptionConfigurationArgs,
    (
        "aws:ecr/repository:Repository",
        "imageTagMutabilityExclusionFilters",
    ): pulumi_aws.ecr.RepositoryImageTagMutabilityExclusionFilterArgs,
    (
        "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
        "encryptionConfigurations",
    ): pulumi_aws.ecr.RepositoryCreationTemplateEncryptionConfigurationArgs,
    ("aws:ec2/launchTemplate:LaunchTemplate", "metadataOptions"): pulumi_aws.ec2.LaunchTemplateMetadataOptionsArgs,
    ("aws:ec2/launchTemplate:LaunchTemplate", "monitoring"): pulumi_aws.ec2.LaunchTemplateMonitoringArgs,
    ("aws:ec2/launchTemplate:LaunchTemplate", "tagSpecifications"): pulumi_aws.ec2.LaunchTemplateTagSpecificationArgs,
    (
        "aws:ec2/launchTemplate:LaunchTemplate",
        "blockDeviceMappings",
    ): pulumi_aws.ec2.LaunchTemplateBlockDeviceMappingArgs,
    ("aws:eks/nodeGroup:NodeGroup", "launchTemplate"): pulumi_aws.eks.NodeGroupLaunchTemplateArgs,
    ("aws:eks/nodeGroup:NodeGroup", "scalingConfig"): pulumi_aws.eks.NodeGroupScalingConfigArgs,
    ("aws:eks/nodeGroup:NodeGroup", "taints"): pulumi_aws.eks.NodeGroupTaintArgs,
    ("aws:eks/nodeGroup:NodeGroup", "updateConfig"): pulumi_aws.eks.NodeGroupUpdateConfigArgs,
    ("aws:eks/nodeGroup:NodeGroup", "warmPoolConfig"): pulumi_aws.eks.NodeGroupWarmPoolConfigArgs,
    ("aws:autoscaling/tag:Tag", "tag"): pulumi_aws.autoscaling.TagTagArgs,
    (
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "accessScope",
    ): pulumi_aws.eks.AccessPolicyAssociationAccessScopeArgs,
    (
        "aws:s3/bucketVersioning:BucketVersioning",
        "versioningConfiguration",
    ): pulumi_aws.s3.BucketVersioningVersioningConfigurationArgs,
    (ENCRYPTION, "rules"): pulumi_aws.s3.BucketServerSideEncryptionConfigurationRuleArgs,
    (LIFECYCLE, "rules"): pulumi_aws.s3.BucketLifecycleConfigurationRuleArgs,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_properties_are_those_of_the_sdk(kind: ResourceKind[AwsConnection]) -> None:
    known = required_by_name(ARGUMENTS[kind.type])
    assert kind.inputs.keys() <= known.keys(), "no program can set these"
    needed = {name for name, required in known.items() if required}
    assert {name for name, declared in kind.inputs.items() if declared.required} == needed


@pytest.mark.parametrize(("token", "name"), NESTED, ids=lambda value: str(value))
def test_nested_properties_are_those_of_the_sdk(token: str, name: str) -> None:
    [kind] = [kind for kind in KINDS if kind.type == token]
    fields = kind.inputs[name].fields
    assert fields is not None
    known = required_by_name(NESTED[token, name])
    assert fields.keys() <= known.keys()
    assert {key for key, declared in fields.items() if declared.required} == {
        key for key, required in known.items() if required
    }


def test_every_object_property_is_compared_with_the_sdk() -> None:
    declared = {
        (kind.type, name)
        for kind in KINDS
        for name, each in kind.inputs.items()
        if isinstance(each, Property) and each.fields
    }
    assert declared == set(NESTED)


def required_by_name(arguments: Any) -> dict[str, bool]:
    """Pulumi's name of each argument of an SDK class, and whether the SDK requires it."""
    parameters = inspect.signature(arguments.__init__).parameters
    names = input_type_py_to_pulumi_names(arguments)
    return {
        names.get(python_name, python_name): parameter.default is inspect.Parameter.empty
        for python_name, parameter in parameters.items()
        if python_name != "__self__"
    }
