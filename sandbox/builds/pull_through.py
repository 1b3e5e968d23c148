"""ECR's pull-through caches: at the first pull, ECR creates the repository and imports the image.

Rules and templates are those of the sandbox's AWS. The upstream registries are repositories of the registry that stores
all images, by their host: `docker.io/library/busybox`. An image is imported once, while ECR asks the upstream for a tag
again after 24 hours.
Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-working-pulling.html
"""

import json
from collections.abc import Callable
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from sandbox.builds.distribution import Distribution

_HOSTS = {"registry-1.docker.io": "docker.io"}
"""The hosts in image names, where ECR has another name for the registry."""


class PullThrough:
    """The caches of one registry. `ecr` is a client of its API."""

    def __init__(self, ecr: Any, images: Distribution) -> None:
        self._ecr, self._images = ecr, images
        self._importing = Lock()

    def bring(self, repository: str, reference: str, allows: Callable[[str], bool]) -> str | None:
        """Import an image that a cache lacks. Returns the action that the caller would have to be allowed for that."""
        rule = self._rule(repository)
        if rule is None:
            return None
        with self._importing:
            exists = self._exists(repository)
            if exists and self._has(repository, reference):
                return None
            host = _HOSTS.get(rule["upstreamRegistryUrl"], rule["upstreamRegistryUrl"])
            upstream = f"{host}/{repository.removeprefix(rule['ecrRepositoryPrefix'] + '/')}"
            if self._images.manifest(upstream, reference) is None:
                return None
            if not allows("ecr:BatchImportUpstreamImage"):
                return "ecr:BatchImportUpstreamImage"
            if not exists and not allows("ecr:CreateRepository"):
                return "ecr:CreateRepository"
            if not exists:
                self._create(repository, rule["ecrRepositoryPrefix"])
            self._import(upstream, repository, reference)
        return None

    def is_cached(self, repository: str) -> bool:
        """Whether the repository belongs to a cache."""
        return self._rule(repository) is not None

    def _rule(self, repository: str) -> dict[str, str] | None:
        rules: list[dict[str, str]] = self._ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
        return next((each for each in rules if repository.startswith(f"{each['ecrRepositoryPrefix']}/")), None)

    def _exists(self, repository: str) -> bool:
        try:
            self._ecr.describe_repositories(repositoryNames=[repository])
        except ClientError as error:
            if error.response["Error"]["Code"] == "RepositoryNotFoundException":
                return False
            raise
        return True

    def _has(self, repository: str, reference: str) -> bool:
        image = {"imageDigest" if ":" in reference else "imageTag": reference}
        return bool(self._ecr.batch_get_image(repositoryName=repository, imageIds=[image])["images"])

    def _create(self, repository: str, prefix: str) -> None:
        templates: list[dict[str, Any]] = self._ecr.describe_repository_creation_templates()[
            "repositoryCreationTemplates"
        ]
        template = next((each for each in templates if each["prefix"] == prefix), {})
        settings = {key: template[key] for key in ("encryptionConfiguration", "imageTagMutability") if key in template}
        self._ecr.create_repository(repositoryName=repository, **settings)
        if "lifecyclePolicy" in template:
            self._ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=template["lifecyclePolicy"])

    def _import(self, upstream: str, repository: str, reference: str) -> None:
        """Copy an image with all its layers, an index with all its images."""
        media_type, content = self._images.manifest(upstream, reference) or ("", b"")
        manifest = json.loads(content)
        for child in manifest.get("manifests", []):
            self._import(upstream, repository, child["digest"])
        for part in [manifest["config"], *manifest["layers"]] if "config" in manifest else []:
            self._images.mount(part["digest"], source=upstream, target=repository)
        self._images.put(repository, reference, media_type, content)
        tag = {} if ":" in reference else {"imageTag": reference}
        try:
            self._ecr.put_image(
                repositoryName=repository,
                imageManifest=content.decode(),
                imageManifestMediaType=media_type,
                **tag,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ImageAlreadyExistsException":
                raise
