"""ECR's pull-through cache rules and repository creation templates, which moto does not have.

The registry (`sandbox.builds.ecr`) imports the images. The secrets of upstream registries are not looked at.
"""

from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow
from moto.ecr.exceptions import InvalidParameterException

_MOST_RULES = 50
"""Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html"""

_WITH_LOGIN = {
    "registry-1.docker.io": "docker-hub",
    "ghcr.io": "github-container-registry",
    "registry.gitlab.com": "gitlab-container-registry",
}
_WITHOUT_LOGIN = {"public.ecr.aws": "ecr-public", "quay.io": "quay", "registry.k8s.io": "k8s"}
"""Upstream registries, with ECR's names for them.

Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreatePullThroughCacheRule.html
"""


class PullThroughCacheRuleAlreadyExistsException(ServiceException):
    code = "PullThroughCacheRuleAlreadyExistsException"


class PullThroughCacheRuleNotFoundException(ServiceException):
    code = "PullThroughCacheRuleNotFoundException"


class UnsupportedUpstreamRegistryException(ServiceException):
    code = "UnsupportedUpstreamRegistryException"


class LimitExceededException(ServiceException):
    code = "LimitExceededException"


class TemplateAlreadyExistsException(ServiceException):
    code = "TemplateAlreadyExistsException"


class TemplateNotFoundException(ServiceException):
    code = "TemplateNotFoundException"


@dataclass
class PullThroughCaches:
    """The rules and templates of one registry, by prefix."""

    registry_id: str
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)

    def create_rule(self, request: dict[str, Any]) -> dict[str, Any]:
        prefix, url = request["ecrRepositoryPrefix"], request["upstreamRegistryUrl"]
        credentials = request.get("credentialArn")
        upstream = {**_WITH_LOGIN, **_WITHOUT_LOGIN}.get(url)
        if upstream is None:
            raise UnsupportedUpstreamRegistryException(f"The upstream registry '{url}' is not supported")
        if (url in _WITH_LOGIN) != bool(credentials):
            said = "requires" if url in _WITH_LOGIN else "takes no"
            raise InvalidParameterException(
                f"Invalid parameter at 'credentialArn' failed to satisfy constraint: '{url} {said} credentials'"
            )
        if prefix in self.rules:
            raise PullThroughCacheRuleAlreadyExistsException(
                f"A pull through cache rule with the prefix '{prefix}' already exists in the registry with id "
                f"'{self.registry_id}'"
            )
        if len(self.rules) >= _MOST_RULES:
            raise LimitExceededException(f"The registry has {_MOST_RULES} pull through cache rules already")
        self.rules[prefix] = {
            "ecrRepositoryPrefix": prefix,
            "upstreamRegistryUrl": url,
            "upstreamRegistry": upstream,
            "upstreamRepositoryPrefix": request.get("upstreamRepositoryPrefix") or "ROOT",
            "credentialArn": credentials,
            "customRoleArn": request.get("customRoleArn"),
            "registryId": self.registry_id,
            "createdAt": utcnow(),
            "updatedAt": utcnow(),
        }
        return self.rules[prefix]

    def update_rule(self, request: dict[str, Any]) -> dict[str, Any]:
        rule = self.rule(request["ecrRepositoryPrefix"])
        changed = {key: request[key] for key in ("credentialArn", "customRoleArn") if request.get(key)}
        rule.update(changed, updatedAt=utcnow())
        return rule

    def delete_rule(self, prefix: str) -> dict[str, Any]:
        self.rule(prefix)
        return self.rules.pop(prefix)

    def rule(self, prefix: str) -> dict[str, Any]:
        try:
            return self.rules[prefix]
        except KeyError:
            raise PullThroughCacheRuleNotFoundException(
                f"The pull through cache rule with the prefix '{prefix}' does not exist in the registry with id "
                f"'{self.registry_id}'"
            ) from None

    def create_template(self, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request["prefix"]
        if prefix in self.templates:
            raise TemplateAlreadyExistsException(f"The template with the prefix '{prefix}' already exists")
        encryption = request.get("encryptionConfiguration") or {"encryptionType": "AES256"}
        if (encryption.get("kmsKey") or request.get("resourceTags")) and not request.get("customRoleArn"):
            raise InvalidParameterException(
                "Invalid parameter at 'customRoleArn' failed to satisfy constraint: 'KMS keys and tags need a role'"
            )
        self.templates[prefix] = {
            "imageTagMutability": "MUTABLE",
            **{key: value for key, value in request.items() if key != "registryId"},
            "encryptionConfiguration": encryption,
            "createdAt": utcnow(),
            "updatedAt": utcnow(),
        }
        return self.templates[prefix]

    def update_template(self, request: dict[str, Any]) -> dict[str, Any]:
        template = self.template(request["prefix"])
        template.update(request, updatedAt=utcnow())
        return template

    def delete_template(self, prefix: str) -> dict[str, Any]:
        self.template(prefix)
        return self.templates.pop(prefix)

    def template(self, prefix: str) -> dict[str, Any]:
        try:
            return self.templates[prefix]
        except KeyError:
            raise TemplateNotFoundException(f"The template with the prefix '{prefix}' does not exist") from None
