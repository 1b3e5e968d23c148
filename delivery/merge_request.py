"""A merge request's notes in GitLab: one for each stack, brought up to date rather than repeated.

Source: https://docs.gitlab.com/api/notes/#merge-requests
"""

from collections.abc import Mapping
from dataclasses import dataclass

import gitlab
import requests

TOKEN_VARIABLE = "PREVIEW_NOTE_TOKEN"  # noqa: S105 (the variable's name)
_SECONDS = 30


class PostError(Exception):
    """The note could not be put into the merge request. The message says who must do what, and holds no token."""


@dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """Where to post. `api_url` ends in `/api/v4`; `token` may write notes in the project."""

    api_url: str
    project: str
    iid: int
    token: str

    def __repr__(self) -> str:
        return f"merge request !{self.iid} of project {self.project}"


def from_variables(variables: Mapping[str, str]) -> MergeRequest:
    """The merge request whose pipeline this is, from GitLab's variables and the token. Raises `PostError`."""
    needed = ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_MERGE_REQUEST_IID", TOKEN_VARIABLE)
    missing = [name for name in needed if not variables.get(name)]
    if "CI_MERGE_REQUEST_IID" in missing:
        raise PostError("There is no merge request to post to: CI_MERGE_REQUEST_IID is not set. Leave out --post.")
    if missing:
        raise PostError(f"Cannot post without {', '.join(missing)}; docs/delivery.md says what each is for.")
    api_url, project, iid, token = (variables[name] for name in needed)
    return MergeRequest(api_url=api_url, project=project, iid=int(iid), token=token)


def post(target: MergeRequest, marker: str, text: str) -> str:
    """Make `text`, which holds `marker`, the one note that does. Returns the note's address. Raises `PostError`.

    Only the token's own notes count: somebody else's that quotes the marker is theirs. Errors that pass, such as 502 or
    429, are tried again. Should that have left two notes, the older one stays.
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
            f"GitLab refuses the token in {TOKEN_VARIABLE}: it has expired, or lacks the scope api."
        ) from error
    except (gitlab.GitlabError, requests.RequestException) as error:
        raise PostError(f"GitLab does not take the note in {target!r}: {_reason(error, target.token)}") from error


def _reason(error: Exception, token: str) -> str:
    return (str(error) or type(error).__name__).replace(token, "[secret]")
