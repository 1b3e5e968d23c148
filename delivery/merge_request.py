"""A merge request's notes in GitLab: one per stack, which is updated instead of repeated.

Source: https://docs.gitlab.com/api/notes/#merge-requests
"""

from collections.abc import Mapping
from dataclasses import dataclass

import gitlab
import requests

TOKEN_VARIABLE = "PREVIEW_NOTE_TOKEN"  # noqa: S105 (the variable's name)
_SECONDS = 30


class PostError(Exception):
    """The note could not be posted to the merge request. The message says what to do, and contains no token."""


@dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """The merge request to post to. `api_url` ends in `/api/v4`; `token` may write notes in the project."""

    api_url: str
    project: str
    iid: int
    token: str

    def __repr__(self) -> str:
        return f"merge request !{self.iid} of project {self.project}"


def from_variables(variables: Mapping[str, str]) -> MergeRequest:
    """The merge request of this pipeline, from GitLab's variables and the token. Raises `PostError`."""
    needed = ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_MERGE_REQUEST_IID", TOKEN_VARIABLE)
    missing = [name for name in needed if not variables.get(name)]
    if "CI_MERGE_REQUEST_IID" in missing:
        raise PostError("There is no merge request to post to: CI_MERGE_REQUEST_IID is not set. Leave out --post.")
    if missing:
        raise PostError(
            f"Cannot post without {', '.join(missing)}. GitLab sets the variables that begin with CI_; "
            f"docs/delivery.md says how to make {TOKEN_VARIABLE}."
        )
    api_url, project, iid, token = (variables[name] for name in needed)
    return MergeRequest(api_url=api_url, project=project, iid=int(iid), token=token)


def post(target: MergeRequest, marker: str, text: str) -> str:
    """Make `text` the only note that contains `marker`, and return the note's address. Raises `PostError`.

    Only notes of the token's own user are changed: another user's note that quotes the marker stays. Transient errors,
    such as 502 or 429, are retried. If a retry has left two notes, the older one stays.
    """
    try:
        with gitlab.Gitlab(
            target.api_url.removesuffix("/").removesuffix("/api/v4"),
            private_token=target.token,
            timeout=_SECONDS,
            retry_transient_errors=True,
            user_agent="buildyard",
        ) as client:
            client.auth()
            author = client.user.id if client.user else None
            merge_request = client.projects.get(target.project, lazy=True).mergerequests.get(target.iid)
            notes = merge_request.notes.list(iterator=True, order_by="created_at", sort="asc", per_page=100)
            own = [note for note in notes if note.author["id"] == author and marker in note.body]
            if own:
                [note, *repeated] = own
                note.body = text
                note.save()
                for other in repeated:
                    other.delete()
            else:
                note = merge_request.notes.create({"body": text})
            return f"{merge_request.web_url}#note_{note.id}"
    except gitlab.GitlabAuthenticationError as error:
        raise PostError(
            f"GitLab refuses the token in {TOKEN_VARIABLE}: it has expired, or lacks the scope api. Make a new one."
        ) from error
    except (gitlab.GitlabError, requests.RequestException) as error:
        raise PostError(f"Could not post the note to {target!r}: {_reason(error, target.token)}") from error


def _reason(error: Exception, token: str) -> str:
    return (str(error) or type(error).__name__).replace(token, "[secret]")
