"""The values of resources that people may see, and how they are shown.

Pulumi masks what a program or provider marks as secret. Other values that are probably credentials, by name or form,
are withheld too: more people can read a merge request's notes than the stack's state.
"""

import re
from collections.abc import Mapping
from typing import Any

SECRET = "[secret]"  # noqa: S105 (the CLI's placeholder for a secret)
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The CLI's placeholder for a value that is known only after the update.

Source: https://github.com/pulumi/pulumi/blob/master/pkg/resource/stack/deployment.go (computedValuePlaceholder)
"""

MAX_DEPTH = 100
"""Levels of nesting. A Kubernetes object in a preview has about 20."""

_LONGEST = 60
_CONFIDENTIAL_NAME = re.compile(
    r"(?:token|password|passphrase|secret|credentials?|kubeconfig|(?:private|api|access|secret).?key)$", re.IGNORECASE
)
_CONFIDENTIAL_TYPES = ("kubernetes:core/v1:Secret", "Variable:ProjectVariable", "Variable:GroupVariable")
_CREDENTIAL = re.compile(
    r"""\bgl[a-z]{2,5}-[\w.-]{15,}           # GitLab's tokens
      | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b        # AWS access keys
      | \beyJ[\w-]{1,500}\.eyJ[\w-]+\.[\w-]+ # JSON web tokens; their headers are short
      | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)      # user and password in a URL
      | -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----  # the key follows on lines of its own, and is never short
    """,
    re.VERBOSE,
)
_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')


def is_deep(value: Any) -> bool:
    """Whether the value is nested deeper than `MAX_DEPTH` levels, so that no recursion over it ends."""
    items = [value]
    for _ in range(MAX_DEPTH):
        inner = [item.values() if isinstance(item, dict) else item for item in items if isinstance(item, (dict, list))]
        items = [item for group in inner for item in group]
    return bool(items)


def redacted(text: str) -> str:
    """The text without anything that has the form of a credential."""
    return _CREDENTIAL.sub(SECRET, text)


def is_secret(value: Any) -> bool:
    """Whether Pulumi masked the value, or a part of it."""
    if isinstance(value, Mapping):
        return any(is_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(is_secret(item) for item in value)
    return bool(value == SECRET)


def is_unknown(value: Any) -> bool:
    return isinstance(value, str) and UNKNOWN in value


def is_confidential(urn: str, path: str, secret_properties: frozenset[str] = frozenset()) -> bool:
    """Whether the property's value is never shown, secret or not."""
    steps = _steps(path)
    token = urn.split("::", 3)[2]
    if token.endswith(_CONFIDENTIAL_TYPES):
        return steps[0] in ("data", "stringData", "value")
    return steps[0] in secret_properties or any(_CONFIDENTIAL_NAME.search(str(step)) for step in steps)


def shown(value: Any) -> str | None:
    """A short scalar as text; None for every other value, and for one that looks like a credential."""
    if value is None:
        return "none"
    if is_unknown(value):
        return "known after the update"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable() or value == SECRET:
        return None
    if value.startswith(("{", "[")):  # a document, such as a policy
        return None
    return value if redacted(value) == value else None


def find(value: Any, path: str) -> Any:
    """The value at the path; None if there is none, `SECRET` below a masked value."""
    for step in _steps(path):
        if value == SECRET:
            return SECRET
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The top-level properties that differ."""
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _steps(path: str) -> list[str | int]:
    return [
        int(index) if index else plain or re.sub(r"\\(.)", r"\1", quoted)
        for quoted, index, plain in _STEP.findall(path)
    ] or [path]
