"""Parameters of a request, parsed as by GitLab's API, with its error messages."""

from collections.abc import Sequence
from typing import Any

from flask import Request

from sandbox.services.gitlab.errors import bad_parameters

_TRUE = {"true", "t", "1", "on"}
_FALSE = {"false", "f", "0", "off"}


class Parameters:
    """A request's query and body.

    Wrong values are collected, so that `check` can refuse the request with all of them at once.
    """

    def __init__(self, request: Request) -> None:
        # Clients send the JSON content type for DELETE, too, without a body.
        is_json = request.is_json and request.get_data()
        body = request.get_json(silent=True) if is_json else request.form.to_dict()
        if not isinstance(body, dict):
            raise bad_parameters(["body is invalid"])
        self._values: dict[str, Any] = {**request.args.to_dict(), **body}
        self._problems: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "", *, required: bool = False, allow_blank: bool = True) -> str:
        value = self._values.get(name)
        if value is None:
            if required:
                self._problems.append(f"{name} is missing")
            return default
        if isinstance(value, (dict, list)):
            self._problems.append(f"{name} is invalid")
            return default
        text = str(value)
        if not allow_blank and not text.strip():
            self._problems.append(f"{name} is empty")
        return text

    def choice(self, name: str, choices: Sequence[str], default: str = "", *, required: bool = False) -> str:
        value = self.text(name, default, required=required)
        if name in self and value not in choices:
            self._problems.append(f"{name} does not have a valid value")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        if str(value).lower() in _TRUE | _FALSE:
            return str(value).lower() in _TRUE
        self._problems.append(f"{name} is invalid")
        return default

    def integer(self, name: str, default: int | None = None, *, required: bool = False) -> int | None:
        value = self._values.get(name)
        if value is None:
            if required:
                self._problems.append(f"{name} is missing")
            return default
        try:
            return int(str(value))
        except ValueError:
            self._problems.append(f"{name} is invalid")
            return default

    def words(self, name: str) -> list[str]:
        """A list; clients may send it as one string with commas."""
        value = self._values.get(name) or []
        parts = value.split(",") if isinstance(value, str) else value
        return list(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))

    def check(self) -> None:
        """Raise GitLab's 400 when any parameter read so far was wrong."""
        if self._problems:
            raise bad_parameters(self._problems)
