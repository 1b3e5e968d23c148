"""ECR's blob mounting: a push takes a layer that another repository of the registry has, instead of an upload.

Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

Settings = Mapping[str, Any]
"""A repository, as `DescribeRepositories` returns it."""


class BlobMounting:
    """The mounts of one registry. `ecr` is a client of its API."""

    def __init__(self, ecr: Any, *, folder: str) -> None:
        """`folder` is where the registry that stores all images keeps those of this one."""
        self._ecr, self._folder = ecr, folder

    def query(
        self,
        target: Settings,
        requested: Mapping[str, str],
        *,
        find: Callable[[str], Settings | None],
        is_cached: Callable[[str], bool],
        allows: Callable[[str, str], bool],
    ) -> str:
        """The query with which the stored repository mounts the requested layer; empty if the client must upload it.

        `find` looks a repository up, `is_cached` tells those of pull-through caches, and `allows` says whether the
        caller has a right on a repository.
        """
        digest, name = requested.get("mount"), requested.get("from")
        source = find(name) if digest and name else None
        if (
            source is None
            or not name
            or not self._is_on()
            or source["encryptionConfiguration"] != target["encryptionConfiguration"]
            or is_cached(name)
            or not allows("ecr:GetDownloadUrlForLayer", name)
        ):
            return ""
        return urlencode({"mount": digest, "from": f"{self._folder}{name}"})

    def _is_on(self) -> bool:
        return bool(self._ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED")
