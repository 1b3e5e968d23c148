"""ECR's images, as the registry in front of the API changes them.

The registry (`sandbox.builds.ecr`) calls `PutImage` for every manifest that is pushed to it. So the API lists what
builds pushed, and the journal keeps that list. Moto forgets an image when its tag moves to another one, takes no image
without a tag, and invents digests; here all three are as in ECR.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import moto.ecr.models
from moto.core.exceptions import ServiceException
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.core.utils import get_service_model
from moto.ecr.exceptions import ImageAlreadyExistsException, InvalidParameterException
from moto.ecr.models import ECRBackend, Image, Repository, ecr_backends
from moto.iam.models import iam_backends

from sandbox.services.aws.ecr.pull_through import PullThroughCaches

_ACCOUNT_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE", "CLAIR"),
    "BLOB_MOUNTING": ("DISABLED", "ENABLED"),
    "REGISTRY_POLICY_SCOPE": ("V2", "V1"),
}
"""The settings of an account in a region, with their values. Each begins with the first one."""


def extend_moto() -> None:
    """Let moto make this backend for every account and region, and accept every repository name that ECR does."""
    model = get_service_model("ecr")
    moto.ecr.models.ECR_REPOSITORY_NAME_PATTERN = model.shape_for("RepositoryName").metadata["pattern"]
    ecr_backends.backend = EcrBackend


class ImageTagAlreadyExistsException(ServiceException):
    code = "ImageTagAlreadyExistsException"


class ImageDigestDoesNotMatchException(ServiceException):
    code = "ImageDigestDoesNotMatchException"


class EcrImage(Image):
    """An image with the digest of its manifest and with the size of its layers."""

    size: int

    @property
    def image_id(self) -> dict[str, str]:
        tag = {"imageTag": self.image_tags[-1]} if self.image_tags else {}
        return {"imageDigest": self.image_digest, **tag}

    def get_image_size_in_bytes(self) -> int:
        return self.size

    @property
    def children(self) -> list[str]:
        """The digests of the images in a manifest list."""
        return [child["digest"] for child in json.loads(self.image_manifest).get("manifests", [])]


class EcrBackend(ECRBackend, TaggableResourcesMixin):  # type: ignore[misc] # both have tag_resource; ECR's is called
    SERVICE_NAMESPACE = "ecr"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.pull_through = PullThroughCaches(registry_id=account_id)
        self.account_settings = {name: values[0] for name, values in _ACCOUNT_SETTINGS.items()}

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        """The repositories, for the Resource Groups Tagging API. They have never had more tags than they have."""
        for repository in self.repositories.values():
            tags = self.tagger.get_tag_dict_for_resource(repository.arn)
            yield TaggedResource(arn=repository.arn, tags=tags, resource_type="ecr:repository")

    def set_repository_policy(self, registry_id: str, repository_name: str, policy_text: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html

        A role of the account must exist. Those of other accounts are not known here.
        """
        known = {role.arn for role in iam_backends[self.account_id]["aws"].roles.values()}
        for principal in _principals(policy_text):
            if principal.startswith(f"arn:aws:iam::{self.account_id}:role/") and principal not in known:
                raise InvalidParameterException(
                    "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy "
                    "provided'"
                )
        return super().set_repository_policy(registry_id, repository_name, policy_text)

    def account_setting(self, name: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAccountSetting.html"""
        if name not in self.account_settings:
            raise InvalidParameterException(f"Invalid parameter at 'name': ECR has no setting {name}")
        return {"name": name, "value": self.account_settings[name]}

    def put_account_setting(self, name: str, value: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutAccountSetting.html"""
        if value not in _ACCOUNT_SETTINGS.get(name, ()):
            raise InvalidParameterException(f"Invalid parameter at 'value': {name} cannot be {value}")
        self.account_settings[name] = value
        return self.account_setting(name)

    def put_image(
        self,
        repository_name: str,
        image_manifest: str,
        image_tag: str | None,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> Image:
        """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html"""
        repository = self._get_repository(repository_name)
        actual = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        if digest not in (None, actual):
            raise ImageDigestDoesNotMatchException(f"The digest of the image is {actual}, not {digest}")
        image = _find(repository, actual)
        if image is not None and (image_tag is None or image_tag in image.image_tags):
            raise ImageAlreadyExistsException(
                registry_id=repository.registry_id,
                image_tag=image_tag or "",
                digest=actual,
                repository_name=repository_name,
            )
        for other in repository.images:
            if image_tag in other.image_tags:
                if is_immutable(_mutability(repository), str(image_tag)):
                    raise ImageTagAlreadyExistsException(immutable_tag(repository_name, str(image_tag)))
                other.remove_tag(str(image_tag))
        if image is None:
            manifest = json.loads(image_manifest)
            media_type = image_manifest_mediatype or manifest.get("mediaType")
            image = EcrImage(self.account_id, None, image_manifest, repository_name, media_type, actual)  # type: ignore[arg-type] # moto allows it
            image.size = _size(repository, manifest)
            repository.images.append(image)
        if image_tag is not None:
            image.update_tag(image_tag)
        return image

    def batch_delete_image(
        self,
        repository_name: str,
        registry_id: str | None = None,
        image_ids: list[dict[str, str]] | None = None,
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html

        An image that a manifest list refers to can lose its tags, and stays.
        """
        repository = self._get_repository(repository_name, registry_id)
        failures = []
        deleted: list[Any] = []
        for image_id in image_ids or []:
            holders = _lists_with(repository, image_id)
            if holders:
                reason = f"Requested image referenced by manifest list: [{', '.join(holders)}]"
                failures.append(
                    {"imageId": image_id, "failureCode": "ImageReferencedByManifestList", "failureReason": reason}
                )
            else:
                done = super().batch_delete_image(repository_name, registry_id, [image_id])
                deleted += done["imageIds"] or ([] if done["failures"] else [image_id])
                failures += done["failures"]
        return {"imageIds": deleted, "failures": failures}


def _principals(policy: str) -> list[str]:
    """The ARNs of a policy's principals; none if the policy cannot be read."""
    try:
        statements = json.loads(policy)["Statement"]
        named = [each["Principal"]["AWS"] for each in statements if "AWS" in each["Principal"]]
    except (ValueError, KeyError, TypeError):
        return []
    return [arn for each in named for arn in ([each] if isinstance(each, str) else each)]


def is_immutable(repository: Mapping[str, Any], tag: str) -> bool:
    """Whether an existing tag cannot be moved, by the repository's settings as `DescribeRepositories` returns them.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
    """
    mutability, _, exclusion = repository["imageTagMutability"].partition("_WITH_")
    filters = repository.get("imageTagMutabilityExclusionFilters", []) if exclusion else []
    excluded = any(re.fullmatch(re.escape(each["filter"]).replace(r"\*", ".*"), tag) for each in filters)
    return bool((mutability == "IMMUTABLE") != excluded)


def immutable_tag(repository: str, tag: str) -> str:
    """ECR's message for a tag that cannot be moved."""
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be "
        "overwritten because the tag is immutable."
    )


def _mutability(repository: Repository) -> dict[str, Any]:
    return {
        "imageTagMutability": str(getattr(repository.image_tag_mutability, "value", repository.image_tag_mutability)),
        "imageTagMutabilityExclusionFilters": repository.image_tag_mutability_exclusion_filters or [],
    }


def _find(repository: Repository, digest: str) -> Image | None:
    return next((each for each in repository.images if each.image_digest == digest), None)


def _size(repository: Repository, manifest: Mapping[str, Any]) -> int:
    """The size that ECR reports: of an image all its layers, of a manifest list its largest image."""
    if "manifests" in manifest:
        children = [_find(repository, child["digest"]) for child in manifest["manifests"]]
        return max((child.image_size_in_bytes or 0 for child in children if child), default=0)
    return sum(part["size"] for part in [manifest["config"], *manifest["layers"]])


def _lists_with(repository: Repository, image_id: Mapping[str, str]) -> list[str]:
    """The manifest lists that keep an image from being deleted; none if the request only takes one of its tags."""
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    for image in repository.images:
        if image.image_digest == digest or (digest is None and image.image_tags == [tag]):
            lists = [each for each in repository.images if isinstance(each, EcrImage)]
            return [each.image_digest for each in lists if image.image_digest in each.children]
    return []
