# ruff: noqa: ARG001 (checks share one signature)
"""The limits that AWS documents for requests. Moto accepts nearly anything.

Lengths, counts and patterns come from AWS's service models, which botocore holds. What AWS documents elsewhere is added
by hand:

- tags: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
- IAM's quotas: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
- node groups: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html and
  https://docs.aws.amazon.com/eks/latest/userguide/create-managed-node-group.html
- launch templates: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html

Error codes are AWS's. So are messages, except where AWS publishes none.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.autoscaling.models import autoscaling_backends
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.ecr.models import ecr_backends
from moto.eks.models import eks_backends
from moto.iam.models import IAMBackend, Role, iam_backends
from werkzeug.exceptions import HTTPException

_TAGS_PER_RESOURCE = 50
_TAG_KEY_CHARACTERS = 128
_TAG_VALUE_CHARACTERS = 256
_MANAGED_POLICY_CHARACTERS = 6144
_INLINE_POLICY_CHARACTERS = 10240  # all of a role's together
_TRUST_POLICY_CHARACTERS = 2048
_POLICIES_PER_ROLE = 10
_NODE_GROUP_NAME_CHARACTERS = 63
_NODE_GROUP_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]*")
_RESERVED_LABELS = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_TEMPLATE_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")

_LONG_TAG = (
    f"Tag keys can have a maximum character length of {_TAG_KEY_CHARACTERS} characters, and tag values can have a "
    f"maximum length of {_TAG_VALUE_CHARACTERS} characters."
)
_TOO_MANY_TAGS = f"The maximum number of tags that can be applied to a resource is {_TAGS_PER_RESOURCE}."

Tags = dict[str, str]


class LimitError(ServiceException):
    """A request beyond a limit: its error code, and a message."""


class _Words(NamedTuple):
    """A service's error codes and messages."""

    code: str
    message: str  # with the places `path`, `value` and `constraint`
    too_long: str  # a constraint, with the place `limit`
    too_short: str
    pattern: str
    reserved_tag: str  # codes
    wrong_tag: str
    too_many_tags: str


_QUERY = _Words(
    code="ValidationError",
    message="1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {constraint}",
    too_long="Member must have length less than or equal to {limit}",
    too_short="Member must have length greater than or equal to {limit}",
    pattern="Member must satisfy regular expression pattern: {limit}",
    reserved_tag="InvalidInput",
    wrong_tag="ValidationError",
    too_many_tags="LimitExceeded",
)
_ECR = _Words(
    code="InvalidParameterException",
    message="Invalid parameter at '{path}' failed to satisfy constraint: '{constraint}'",
    too_long="must have length less than or equal to {limit}",
    too_short="must have length greater than or equal to {limit}",
    pattern="must satisfy regular expression '{limit}'",
    reserved_tag="InvalidTagParameterException",
    wrong_tag="InvalidTagParameterException",
    too_many_tags="TooManyTagsException",
)
_EKS = _ECR._replace(
    reserved_tag="InvalidParameterException",
    wrong_tag="InvalidParameterException",
    too_many_tags="BadRequestException",
)
_EC2 = _QUERY._replace(
    reserved_tag="InvalidParameterValue", wrong_tag="InvalidParameterValue", too_many_tags="TagLimitExceeded"
)
_AUTO_SCALING = _QUERY._replace(reserved_tag="ValidationError")
_SERVICES = {"iam": _QUERY, "ecr": _ECR, "eks": _EKS, "ec2": _EC2, "autoscaling": _AUTO_SCALING}


def enforce() -> None:
    """Let moto refuse requests beyond AWS's limits from now on."""
    carry_out = BaseResponse.call_action

    def call_action(self: BaseResponse) -> Any:
        refusal = next(_refusals(self), None)
        if refusal is None:
            return carry_out(self)
        status, headers, body = self.serialized(ActionResult(refusal))
        return status, {**headers, "status": str(status)}, body

    BaseResponse.call_action = call_action  # type: ignore[method-assign]


def _refusals(response: BaseResponse) -> Iterator[LimitError]:
    service, action = response.boto3_service_name, response._get_action()
    words = _SERVICES.get(service)
    if words is None or not action or action.startswith(("Describe", "Get", "List")):
        return
    shape = get_service_model(service).operation_model(action).input_shape
    request = parsed(response)
    if shape is not None:
        yield from _by_model(words, shape, request)
    for resource, tags in _tags(request):
        yield from _by_tags(words, tags)
        if len({**_present_tags(response, action, resource), **tags}) > _TAGS_PER_RESOURCE:
            yield LimitError(words.too_many_tags, _TOO_MANY_TAGS)
    check = _CHECKS.get(action)
    if check is not None:
        yield from check(response, request)


def parsed(response: BaseResponse) -> dict[str, Any]:
    """The request under the names of botocore's model, also where moto's own code reads it in another way."""
    kept = getattr(response, "params", None)
    response.parse_parameters(response.normalized_request)
    request: dict[str, Any] = dict(response.params or {})
    response.params = kept
    return request


def _by_model(words: _Words, shape: Shape, value: Any, path: str = "") -> Iterator[LimitError]:
    """Refusals of what does not fit the service's model."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                here = name[0].lower() + name[1:]
                yield from _by_model(words, member, value[name], f"{path}.{here}" if path else here)
        return
    for constraint in _violations(words, shape, value):
        yield LimitError(words.code, words.message.format(value=value, path=path, constraint=constraint))
    if isinstance(shape, ListShape) and isinstance(value, Sequence):
        for number, item in enumerate(value, start=1):
            yield from _by_model(words, shape.member, item, f"{path}.{number}.member")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _by_model(words, shape.key, key, path)
            yield from _by_model(words, shape.value, item, f"{path}.{key}")


def _violations(words: _Words, shape: Shape, value: Any) -> Iterator[str]:
    if shape.type_name not in ("string", "list", "map"):
        return
    longest, shortest, pattern = (shape.metadata.get(name) for name in ("max", "min", "pattern"))
    if longest is not None and len(value) > longest:
        yield words.too_long.format(limit=longest)
    if shortest is not None and len(value) < shortest:
        yield words.too_short.format(limit=shortest)
    if pattern is not None and not _matches(pattern, value):
        yield words.pattern.format(limit=pattern)


def _matches(pattern: str, value: str) -> bool:
    """Whether the value matches a pattern of Java, as service models have them."""
    if r"\uD800" in pattern:  # all of Unicode, in surrogate pairs
        return True
    expression = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s")
    return re.fullmatch(expression, value) is not None


def _tags(request: Mapping[str, Any]) -> Iterator[tuple[str, Tags]]:
    """The name or ARN of each resource that a request tags, with its tags, whatever form the service has for them."""
    found = request.get("Tags") or request.get("tags") or []
    names = (request.get(key) for key in ("RoleName", "PolicyArn", "resourceArn"))
    resource = next(filter(None, names), "")
    if isinstance(found, Mapping):
        yield resource, dict(found)
        return
    for name in {tag.get("ResourceId", resource) for tag in found}:
        yield name, _listed(tag for tag in found if tag.get("ResourceId", resource) == name)
    for holder in (request, request.get("LaunchTemplateData") or {}):
        for specification in holder.get("TagSpecifications") or []:
            yield "", _listed(specification.get("Tags") or [])


def _by_tags(words: _Words, tags: Tags) -> Iterator[LimitError]:
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            yield LimitError(words.reserved_tag, "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > _TAG_KEY_CHARACTERS or len(value) > _TAG_VALUE_CHARACTERS:
            yield LimitError(words.wrong_tag, _LONG_TAG)


def _present_tags(response: BaseResponse, action: str, resource: str) -> Tags:
    """The tags that a resource has before a request adds to them; none of a resource that does not exist."""
    service, account, region = response.boto3_service_name, response.current_account, response.region
    try:
        match service, action:
            case "iam", "TagRole":
                return _listed(_iam(response).get_role(resource).tags)
            case "iam", "TagPolicy":
                return _listed(_iam(response).get_policy(resource).tags.values())
            case "ecr", "TagResource":
                return dict(ecr_backends[account][region].tagger.get_tag_dict_for_resource(resource))
            case "eks", "TagResource":
                return dict(eks_backends[account][region].tags_of(resource))  # type: ignore[attr-defined]
            case "autoscaling", "CreateOrUpdateTags":
                group = autoscaling_backends[account][region].autoscaling_groups.get(resource)
                return _listed(group.tags) if group else {}
    except (HTTPException, ServiceException):  # moto refuses the request itself, in AWS's words
        pass
    return {}


def _managed_policy(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    if _characters(request["PolicyDocument"]) > _MANAGED_POLICY_CHARACTERS:
        yield _over_quota(f"PolicySize: {_MANAGED_POLICY_CHARACTERS}")


def _trust_policy(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    document = request.get("AssumeRolePolicyDocument") or request.get("PolicyDocument") or ""
    if _characters(document) > _TRUST_POLICY_CHARACTERS:
        yield _over_quota(f"ACLSizePerRole: {_TRUST_POLICY_CHARACTERS}")


def _inline_policies(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    role = _role(response, request)
    policies = {**(role.policies if role else {}), request["PolicyName"]: request["PolicyDocument"]}
    if sum(map(_characters, policies.values())) > _INLINE_POLICY_CHARACTERS:
        message = f"Maximum policy size of {_INLINE_POLICY_CHARACTERS} bytes exceeded for role {request['RoleName']}"
        yield LimitError("LimitExceeded", message)


def _attached_policies(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    role = _role(response, request)
    if role and len({*role.managed_policies, request["PolicyArn"]}) > _POLICIES_PER_ROLE:
        yield _over_quota(f"PoliciesPerRole: {_POLICIES_PER_ROLE}")


def _node_group(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    name = request["nodegroupName"]
    if len(name) > _NODE_GROUP_NAME_CHARACTERS:
        yield _refused(f"nodeGroupName can't be longer than {_NODE_GROUP_NAME_CHARACTERS} characters!")
    if not _NODE_GROUP_NAME.fullmatch(name):
        yield _refused(
            "The nodeGroupName parameter contains invalid characters. It should start with a letter or a number, and "
            "can contain letters, numbers, hyphens and underscores."
        )
    yield from _labels(request.get("labels") or {})


def _node_group_config(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    yield from _labels((request.get("labels") or {}).get("addOrUpdateLabels") or {})


def _labels(labels: Mapping[str, str]) -> Iterator[LimitError]:
    for key, value in labels.items():
        if any(reserved in key for reserved in _RESERVED_LABELS):
            yield _refused(f"Label cannot contain reserved prefixes [{', '.join(_RESERVED_LABELS)}]")
        if not _LABEL_VALUE.fullmatch(value):
            yield _refused(
                f"Invalid value: {value}: field must consist of alphanumeric characters, '-', '_' or '.', and must "
                f"start and end with an alphanumeric character (regex used for validation is '{_LABEL_VALUE.pattern}')"
            )


def _launch_template(response: BaseResponse, request: Mapping[str, Any]) -> Iterator[LimitError]:
    if not _TEMPLATE_NAME.fullmatch(request["LaunchTemplateName"]):
        yield LimitError(
            "InvalidLaunchTemplateName.MalformedException",
            "The specified launch template name is invalid. A launch template name must be between 3 and 128 "
            "characters, and may contain letters, numbers, and the following characters: - ( ) . / _.",
        )


_CHECKS: Mapping[str, Callable[[BaseResponse, Mapping[str, Any]], Iterator[LimitError]]] = {
    "CreatePolicy": _managed_policy,
    "CreatePolicyVersion": _managed_policy,
    "CreateRole": _trust_policy,
    "UpdateAssumeRolePolicy": _trust_policy,
    "PutRolePolicy": _inline_policies,
    "AttachRolePolicy": _attached_policies,
    "CreateNodegroup": _node_group,
    "UpdateNodegroupConfig": _node_group_config,
    "CreateLaunchTemplate": _launch_template,
}


def _role(response: BaseResponse, request: Mapping[str, Any]) -> Role | None:
    return next((role for role in _iam(response).roles.values() if role.name == request["RoleName"]), None)


def _iam(response: BaseResponse) -> IAMBackend:
    return iam_backends[response.current_account]["aws"]


def _listed(tags: Iterable[Mapping[str, str]]) -> Tags:
    return {tag["Key"]: tag.get("Value") or "" for tag in tags}


def _characters(document: str) -> int:
    """IAM does not count white space."""
    return len(re.sub(r"\s", "", document))


def _over_quota(quota: str) -> LimitError:
    return LimitError("LimitExceeded", f"Cannot exceed quota for {quota}")


def _refused(message: str) -> LimitError:
    return LimitError("InvalidParameterException", message)
