"""The operations of ECR that moto lacks or does otherwise."""

from base64 import b64encode
from typing import Any, cast

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from sandbox.services.aws.ecr import registry
from sandbox.services.aws.ecr.models import EcrBackend
from sandbox.services.aws.ecr.pull_through import PullThroughCaches

_RULE = ("ecrRepositoryPrefix", "upstreamRegistryUrl", "upstreamRepositoryPrefix", "credentialArn", "customRoleArn")
_TEMPLATE = (
    *("prefix", "description", "encryptionConfiguration", "resourceTags", "imageTagMutability"),
    *("imageTagMutabilityExclusionFilters", "repositoryPolicy", "lifecyclePolicy", "appliedFor", "customRoleArn"),
)


class EcrResponse(ECRResponse):
    @property
    def _backend(self) -> EcrBackend:
        return cast("EcrBackend", self.ecr_backend)

    @property
    def _caches(self) -> PullThroughCaches:
        return self._backend.pull_through

    def _given(self, keys: tuple[str, ...]) -> dict[str, Any]:
        return {key: value for key in keys if (value := self._get_param(key)) is not None}

    def get_authorization_token(self) -> ActionResult:
        """Moto's answer, with a password that is the caller's own."""
        answer = super().get_authorization_token()
        [*tokens] = answer.result["authorizationData"]  # type: ignore[index] # it is a dictionary
        for each, account in zip(tokens, self._get_param("registryIds") or [self.current_account], strict=True):
            login = f"AWS:{registry.password(account, self.get_access_key())}"
            each["authorizationToken"] = b64encode(login.encode()).decode()
        return answer

    def get_account_setting(self) -> ActionResult:
        return ActionResult(self._backend.account_setting(self._get_param("name")))

    def put_account_setting(self) -> ActionResult:
        return ActionResult(self._backend.put_account_setting(self._get_param("name"), self._get_param("value")))

    def create_pull_through_cache_rule(self) -> ActionResult:
        return ActionResult(self._caches.create_rule(self._given(_RULE)))

    def update_pull_through_cache_rule(self) -> ActionResult:
        return ActionResult(self._caches.update_rule(self._given(_RULE)))

    def delete_pull_through_cache_rule(self) -> ActionResult:
        return ActionResult(self._caches.delete_rule(self._get_param("ecrRepositoryPrefix")))

    def describe_pull_through_cache_rules(self) -> ActionResult:
        prefixes = self._get_param("ecrRepositoryPrefixes") or list(self._caches.rules)
        return ActionResult({"pullThroughCacheRules": [self._caches.rule(each) for each in prefixes]})

    def create_repository_creation_template(self) -> ActionResult:
        return self._template(self._caches.create_template(self._given(_TEMPLATE)))

    def update_repository_creation_template(self) -> ActionResult:
        return self._template(self._caches.update_template(self._given(_TEMPLATE)))

    def delete_repository_creation_template(self) -> ActionResult:
        return self._template(self._caches.delete_template(self._get_param("prefix")))

    def describe_repository_creation_templates(self) -> ActionResult:
        prefixes = self._get_param("prefixes") or list(self._caches.templates)
        found = [self._caches.template(each) for each in prefixes]
        return ActionResult({"registryId": self._caches.registry_id, "repositoryCreationTemplates": found})

    def _template(self, template: dict[str, Any]) -> ActionResult:
        return ActionResult({"registryId": self._caches.registry_id, "repositoryCreationTemplate": template})
