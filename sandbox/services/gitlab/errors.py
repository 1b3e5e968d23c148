"""GitLab's error answers: status codes and bodies as its API gives them.

Source: https://docs.gitlab.com/api/rest/troubleshooting/ and GitLab's `lib/api/helpers.rb`.
"""

from typing import Any


class ApiError(Exception):
    """A request that GitLab refuses with a status code and a JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def bad_request(message: str) -> ApiError:
    """A refusal with one message, such as for a failed commit."""
    return ApiError(400, {"message": message})


def bad_parameters(problems: list[str]) -> ApiError:
    """Parameters missing or of the wrong form, all of them at once: `{"error": "a is missing, b is empty"}`."""
    return ApiError(400, {"error": ", ".join(problems)})


def invalid(problems: dict[str, list[str]]) -> ApiError:
    """A record whose attributes break its rules: `{"message": {"value": ["is invalid"]}}`."""
    return ApiError(400, {"message": problems})


def not_found(what: str) -> ApiError:
    return ApiError(404, {"message": f"404 {what} Not Found"})


def unauthorized() -> ApiError:
    return ApiError(401, {"message": "401 Unauthorized"})
