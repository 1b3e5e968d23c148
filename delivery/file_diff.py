"""Unified diffs of a published file, or another long text, short enough to read."""

import base64
import binascii
import difflib
from collections.abc import Mapping
from typing import Any

from delivery.markdown import count
from delivery.values import is_secret, is_unknown, redacted

_MOST_LINES = 300
_LONGEST_LINE = 500


def file_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The diff between two states of a `gitlab.RepositoryFile`; empty if one of them is unknown, or not text.

    It ends with the number of lines that are left out, if any.
    """
    before, after = _text(old), _text(new)
    if before is None or after is None:
        return ""
    path = new.get("filePath") or old.get("filePath", "")
    return text_diff(before, after, f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null")


def text_diff(before: str, after: str, from_name: str, to_name: str) -> str:
    """The diff between two texts, without credentials; empty if nothing differs."""
    changed = difflib.unified_diff(before.splitlines(), after.splitlines(), from_name, to_name, lineterm="")
    lines = [_short(redacted(line)) for line in changed]
    left_out = len(lines) - _MOST_LINES
    if left_out > 0:
        lines = [*lines[:_MOST_LINES], f"# … and {count(left_out, 'more line')}, not shown here"]
    return "\n".join(lines)


def _text(file: Mapping[str, Any]) -> str | None:
    content = file.get("content", "")
    if not isinstance(content, str) or is_unknown(content) or is_secret(content):
        return None
    if file.get("encoding") != "base64":
        return content
    try:
        return base64.b64decode(content, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "…"
