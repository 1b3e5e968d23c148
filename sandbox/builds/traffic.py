"""The blobs that clients sent to a registry and got from it: layers, configurations and the parts of caches."""

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from werkzeug.wrappers import Request, Response


class Blob(NamedTuple):
    repository: str
    digest: str


class Traffic:
    """The bytes of each blob, counted when a request for it succeeds."""

    def __init__(self) -> None:
        self._sent: defaultdict[Blob, int] = defaultdict(int)
        self._got: defaultdict[Blob, int] = defaultdict(int)
        self._mounted: set[Blob] = set()

    @property
    def uploaded(self) -> Mapping[Blob, int]:
        return dict(self._sent)

    @property
    def downloaded(self) -> Mapping[Blob, int]:
        return dict(self._got)

    @property
    def mounted(self) -> frozenset[Blob]:
        """The blobs that a repository took from another one."""
        return frozenset(self._mounted)

    def note(self, request: Request, action: str, repository: str, reference: str, response: Response) -> None:
        """Count the bytes of a request. `reference` is the last part of its path."""
        if action == "ecr:CompleteLayerUpload" and response.status_code == HTTPStatus.CREATED:
            self._sent[Blob(repository, request.args["digest"])] += request.content_length or 0
        elif action == "ecr:GetDownloadUrlForLayer" and response.status_code == HTTPStatus.OK:
            self._got[Blob(repository, reference)] += int(response.headers["Content-Length"])
        elif action == "ecr:InitiateLayerUpload" and response.status_code == HTTPStatus.CREATED:
            self._mounted.add(Blob(repository, request.args["mount"]))
