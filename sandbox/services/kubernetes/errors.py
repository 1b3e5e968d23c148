"""The API server's error answers, `Status` objects.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from typing import Any


class ApiError(Exception):
    """A request that the API server refuses."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details or {},
            "code": code,
        }


def not_found(resource: str, name: str) -> ApiError:
    """`resource` is the plural, with its group if it has one: `roles.rbac.authorization.k8s.io`."""
    return ApiError(
        404, "NotFound", f'{resource} "{name}" not found', {"name": name, "kind": resource.partition(".")[0]}
    )


def already_exists(resource: str, name: str) -> ApiError:
    details = {"name": name, "kind": resource.partition(".")[0]}
    return ApiError(409, "AlreadyExists", f'{resource} "{name}" already exists', details)


def conflict(resource: str, name: str) -> ApiError:
    message = (
        f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, {"name": name, "kind": resource.partition(".")[0]})


def forbidden(resource: str, name: str, why: str) -> ApiError:
    return ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {why}')


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def invalid(kind: str, name: str, causes: list[str]) -> ApiError:
    """`causes` each begin with the path of a field: `metadata.name: Required value`."""
    listed = causes[0] if len(causes) == 1 else f"[{', '.join(causes)}]"
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', {"name": name, "kind": kind})
