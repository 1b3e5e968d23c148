"""Comparisons of JSON documents by their meaning to AWS, whatever their text."""

import json
from typing import Any


def same_json(old: str, new: str) -> bool:
    """Equal but for white space and the order of keys."""
    return bool(_parsed(old) == _parsed(new))


def same_policy(old: str, new: str) -> bool:
    """Equal as IAM policies: lists have no order there, and a list of one is the same as its item."""
    return bool(_canonical(_parsed(old)) == _canonical(_parsed(new)))


def is_json(text: Any) -> bool:
    """Whether a string holds a JSON object. Unknown values pass."""
    return not isinstance(text, str) or isinstance(_parsed(text), dict)


def _parsed(text: str) -> Any:
    """The document; the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return value
