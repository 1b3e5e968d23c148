"""The size of a file as GitLab measures it: the bytes that its parsed values take in Ruby's memory.

GitLab adds up `ObjectSpace.memsize_of` over the file's hashes, arrays and strings, and counts an alias each time. These
are the sizes of Ruby 3.3, rounded up where versions differ, so that a file that fits here fits in GitLab.
Source: https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/utils/deep_size.rb
"""

from collections.abc import Mapping
from typing import Any

_SLOTS = (40, 80, 160, 320, 640)
"""The sizes of Ruby's heap slots. A value that fits none takes the smallest, and memory elsewhere for its content."""


def parsed_bytes(value: Any) -> int:
    """The size of a value as the YAML parser returns it, with everything in it."""
    if isinstance(value, str):
        return _object(24, len(value.encode()) + 1)
    if isinstance(value, Mapping):
        return mapping_bytes(len(value)) + entries_bytes(value)
    if isinstance(value, list | tuple):
        return _object(16, 8 * len(value)) + sum(parsed_bytes(item) for item in value)
    return 0 if value is None or isinstance(value, bool | int) else _SLOTS[0]


def entries_bytes(mapping: Mapping[str, Any]) -> int:
    """The size of a mapping's keys and values, without the mapping's own."""
    return sum(parsed_bytes(key) + parsed_bytes(item) for key, item in mapping.items())


def _object(header: int, content: int) -> int:
    return next((slot for slot in _SLOTS if header + content <= slot), _SLOTS[0] + content)


def mapping_bytes(entries: int) -> int:
    """The size of a mapping with this many entries, without its keys and values. It grows in steps."""
    if entries <= 8:
        return 168
    slots = 1 << (entries - 1).bit_length()  # entries of 24 bytes and two bins of 4 for each
    return 96 + 32 * slots
