"""The IAM rights that a request to AWS needs: its actions, on which resources, with which condition keys.

Only for the operations that Buildyard's deployments make. Source: the pages of each service in
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from moto.eks.models import eks_backends
from moto.iam.models import IAMBackend, iam_backends
from moto.kms.models import kms_backends

from sandbox.services.aws.eks.models import EksBackend

Request = Mapping[str, Any]
"""The parameters under the names of botocore's model."""

_PREFIXES = {"resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas"}
"""The names that IAM has for services, where botocore has others."""


@dataclass(frozen=True, kw_only=True)
class Right:
    """An action on the resource with this ARN; `context` has the values of condition keys."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a request is carried out, and with which operation."""

    account: str
    region: str
    service: str
    operation: str

    @property
    def action(self) -> str:
        """The action, where it has the operation's name: nearly everywhere."""
        return f"{_PREFIXES.get(self.service, self.service)}:{self.operation}"

    def arn(self, resource: str) -> str:
        """The ARN of a resource of this service in this region."""
        return f"arn:aws:{self.service}:{self.region}:{self.account}:{resource}"

    @property
    def iam(self) -> IAMBackend:
        return iam_backends[self.account]["aws"]


def required(place: Place, request: Request) -> list[Right] | None:
    """The rights that a request needs, or None for an operation that this table does not have."""
    find = _OPERATIONS.get(place.action)
    return None if find is None else list(find(place, request))


def _of_nothing(place: Place, request: Request) -> Iterator[Right]:  # noqa: ARG001 (one signature)
    """An operation whose right is not for single resources."""
    yield Right(action=place.action)


def _free(place: Place, request: Request) -> Iterator[Right]:  # noqa: ARG001
    """An operation that AWS allows to everybody."""
    yield from ()


# IAM


def _of_role(place: Place, request: Request) -> Iterator[Right]:
    context = {}
    if "PolicyArn" in request:
        context["iam:PolicyARN"] = request["PolicyArn"]
    if boundary := request.get("PermissionsBoundary"):
        context["iam:PermissionsBoundary"] = boundary
    arn = _role_arn(place, request["RoleName"], request.get("Path", "/"))
    yield Right(action=place.action, resource=arn, context=context)
    if request.get("Tags") and place.operation == "CreateRole":
        yield Right(action="iam:TagRole", resource=arn)


def _role_arn(place: Place, name: str, path: str = "/") -> str:
    known = (role.arn for role in place.iam.roles.values() if role.name == name)
    return next(known, f"arn:aws:iam::{place.account}:role{path}{name}")


def _of_policy(place: Place, request: Request) -> Iterator[Right]:
    new = f"arn:aws:iam::{place.account}:policy{request.get('Path', '/')}{request.get('PolicyName')}"
    arn = request.get("PolicyArn", new)
    yield Right(action=place.action, resource=arn)
    if request.get("Tags") and place.operation == "CreatePolicy":
        yield Right(action="iam:TagPolicy", resource=arn)


def _of_oidc_provider(place: Place, request: Request) -> Iterator[Right]:
    yield Right(action=place.action, resource=request["OpenIDConnectProviderArn"])


def _passes(role: str | None, service: str) -> Iterator[Right]:
    if role:
        yield Right(action="iam:PassRole", resource=role, context={"iam:PassedToService": service})


# EKS


def _of_cluster(place: Place, request: Request) -> Iterator[Right]:
    yield Right(action=place.action, resource=place.arn(f"cluster/{request.get('clusterName') or request.get('name')}"))
    match place.operation:
        case "CreateNodegroup":
            yield from _passes(request["nodeRole"], "eks.amazonaws.com")
            yield from _of_nodes(place, request)
        case "CreatePodIdentityAssociation":
            yield from _passes(request["roleArn"], "pods.eks.amazonaws.com")
            yield Right(action="iam:GetRole", resource=request["roleArn"])


def _of_nodes(place: Place, request: Request) -> Iterator[Right]:
    """The rights that EKS checks for whoever creates a node group.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html and
    https://docs.aws.amazon.com/eks/latest/userguide/using-service-linked-roles-eks-nodegroups.html
    """
    linked = "AWSServiceRoleForAmazonEKSNodegroup"
    for path in ("aws-service-role/eks-nodegroup.amazonaws.com/", ""):
        yield Right(action="iam:GetRole", resource=f"arn:aws:iam::{place.account}:role/{path}{linked}")
    for action in ("iam:GetRole", "iam:ListAttachedRolePolicies"):
        yield Right(action=action, resource=request["nodeRole"])
    if template := request.get("launchTemplate", {}).get("id"):
        ec2 = f"arn:aws:ec2:{place.region}:{place.account}"
        started = ("instance", "network-interface", "security-group", "subnet", "volume")
        for resource in (f"launch-template/{template}", *(f"{each}/*" for each in started)):
            yield Right(action="ec2:RunInstances", resource=f"{ec2}:{resource}")


def _of_node_group(place: Place, request: Request) -> Iterator[Right]:
    cluster, name = request["clusterName"], request["nodegroupName"]
    known = eks_backends[place.account][place.region].clusters.get(cluster)
    group = known.nodegroups.get(name) if known else None
    yield Right(action=place.action, resource=group.arn if group else place.arn(f"nodegroup/{cluster}/{name}/unknown"))


def _of_addon(place: Place, request: Request) -> Iterator[Right]:
    cluster, name = request["clusterName"], request["addonName"]
    known = cast("EksBackend", eks_backends[place.account][place.region]).addons.get((cluster, name))
    arn = known["addonArn"] if known else place.arn(f"addon/{cluster}/{name}/unknown")
    yield Right(action=place.action, resource=arn)


def _of_association(place: Place, request: Request) -> Iterator[Right]:
    name = f"podidentityassociation/{request['clusterName']}/{request['associationId']}"
    yield Right(action=place.action, resource=place.arn(name))
    if place.operation == "UpdatePodIdentityAssociation":
        yield from _passes(request.get("roleArn"), "pods.eks.amazonaws.com")


def _of_arn(place: Place, request: Request) -> Iterator[Right]:
    yield Right(action=place.action, resource=request["resourceArn"])


# ECR


def _of_repositories(place: Place, request: Request) -> Iterator[Right]:
    names = request.get("repositoryNames") or filter(None, [request.get("repositoryName")])
    arns = [place.arn(f"repository/{name}") for name in names] or [place.arn("repository/*")]
    yield from (Right(action=place.action, resource=arn) for arn in arns)
    if request.get("tags") and place.operation == "CreateRepository":
        yield Right(action="ecr:TagResource", resource=arns[0])


def _of_creation_template(place: Place, request: Request) -> Iterator[Right]:
    yield Right(action=place.action)
    created = place.arn(f"repository/{request['prefix']}/*")
    if place.operation == "CreateRepositoryCreationTemplate":
        yield Right(action="ecr:CreateRepository", resource=created)
    if request.get("lifecyclePolicy"):
        yield Right(action="ecr:PutLifecyclePolicy", resource=created)
    yield from _passes(request.get("customRoleArn"), "ecr.amazonaws.com")


# EC2 and Auto Scaling


def _of_vpc(place: Place, request: Request) -> Iterator[Right]:
    yield Right(action=place.action, resource=place.arn(f"vpc/{request['VpcId']}"))


def _of_launch_template(place: Place, request: Request) -> Iterator[Right]:
    arn = place.arn(f"launch-template/{request.get('LaunchTemplateId', '*')}")
    yield Right(action=place.action, resource=arn)
    if request.get("TagSpecifications"):
        yield Right(action="ec2:CreateTags", resource=arn, context={"ec2:CreateAction": place.operation})


def _of_tagged_resources(place: Place, request: Request) -> Iterator[Right]:
    kinds = {"lt": "launch-template"}
    for each in request["Resources"]:
        kind = kinds.get(each.partition("-")[0], "*")
        yield Right(action=place.action, resource=place.arn(f"{kind}/{each}"))


def _of_scaling_groups(place: Place, request: Request) -> Iterator[Right]:
    for name in dict.fromkeys(tag["ResourceId"] for tag in request["Tags"]):
        arn = place.arn(f"autoScalingGroup:00000000-0000-4000-8000-000000000000:autoScalingGroupName/{name}")
        yield Right(action=place.action, resource=arn)


# KMS


def _of_key(place: Place, request: Request) -> Iterator[Right]:
    """The right on the key itself, also where the request names an alias of it or nothing but its ciphertext."""
    backend = kms_backends[place.account][place.region]
    named = str(request.get("KeyId") or "*")
    name = named.rpartition(":")[2]
    if name.startswith("alias/"):
        name = f"key/{backend.get_key_id_from_alias(name) or name}"
    elif not name.startswith(("key/", "*")):
        name = f"key/{name}"
    if name == "*":  # Decrypt of a symmetric key's ciphertext: moto's starts with the key's id
        name = f"key/{bytes(request['CiphertextBlob'])[:36].decode(errors='replace')}"
    yield Right(action=place.action, resource=place.arn(name))


_Find = Callable[[Place, Request], Iterable[Right]]
_BY_KIND: tuple[tuple[_Find, str], ...] = (
    (_free, "sts:GetCallerIdentity"),
    (
        _of_role,
        "iam: AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy DetachRolePolicy "
        "GetRole ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies PutRolePermissionsBoundary "
        "TagRole UntagRole UpdateAssumeRolePolicy UpdateRole",
    ),
    (
        _of_policy,
        "iam: CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion "
        "ListPolicyVersions TagPolicy UntagPolicy",
    ),
    (_of_nothing, "iam: ListOpenIDConnectProviders ListPolicies ListRoles"),
    (_of_oidc_provider, "iam: GetOpenIDConnectProvider"),
    (
        _of_cluster,
        "eks: CreateNodegroup CreatePodIdentityAssociation DescribeCluster ListNodegroups ListPodIdentityAssociations",
    ),
    (_of_addon, "eks: DescribeAddon"),
    (
        _of_node_group,
        "eks: DeleteNodegroup DescribeNodegroup UpdateNodegroupConfig UpdateNodegroupVersion",
    ),
    (
        _of_association,
        "eks: DeletePodIdentityAssociation DescribePodIdentityAssociation UpdatePodIdentityAssociation",
    ),
    (_of_arn, "eks: TagResource UntagResource"),
    (_of_arn, "ecr: ListTagsForResource TagResource UntagResource"),
    (
        _of_repositories,
        "ecr: BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload DescribeImages "
        "GetDownloadUrlForLayer InitiateLayerUpload ListImages PutImage UploadLayerPart",
    ),
    (
        _of_repositories,
        "ecr: CreateRepository DeleteLifecyclePolicy DeleteRepository DeleteRepositoryPolicy DescribeRepositories "
        "GetLifecyclePolicy GetRepositoryPolicy PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy "
        "SetRepositoryPolicy",
    ),
    (
        _of_nothing,
        "ecr: CreatePullThroughCacheRule DeletePullThroughCacheRule DeleteRepositoryCreationTemplate "
        "DescribePullThroughCacheRules DescribeRepositoryCreationTemplates GetAccountSetting GetAuthorizationToken "
        "PutAccountSetting UpdatePullThroughCacheRule",
    ),
    (_of_creation_template, "ecr: CreateRepositoryCreationTemplate UpdateRepositoryCreationTemplate"),
    (
        _of_launch_template,
        "ec2: CreateLaunchTemplate CreateLaunchTemplateVersion DeleteLaunchTemplate ModifyLaunchTemplate",
    ),
    (_of_vpc, "ec2: DescribeVpcAttribute"),
    (_of_tagged_resources, "ec2: CreateTags DeleteTags"),
    (
        _of_nothing,
        "ec2: DescribeInstanceTypes DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeNetworkInterfaces "
        "DescribeSecurityGroups DescribeSubnets DescribeTags DescribeVpcs",
    ),
    (_of_scaling_groups, "autoscaling: CreateOrUpdateTags DeleteTags"),
    (_of_nothing, "autoscaling: DescribeAutoScalingGroups DescribeTags"),
    (_of_nothing, "servicequotas: GetAWSDefaultServiceQuota GetServiceQuota"),
    (_of_nothing, "tag: GetResources"),
    (_of_key, "kms: Decrypt DescribeKey Encrypt GenerateDataKey"),
)
_OPERATIONS: Mapping[str, _Find] = {
    f"{service.strip()}:{operation}": find
    for find, listed in _BY_KIND
    for service, _, operations in [listed.partition(":")]
    for operation in operations.split()
}
