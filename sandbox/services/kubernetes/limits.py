"""The limits of the API server: what it refuses about names, labels, annotations and data.

Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/,
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set,
https://kubernetes.io/docs/concepts/configuration/secret/ and the API server's `apimachinery/pkg/api/validation`.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from sandbox.services.kubernetes.kinds import Kind

Object = dict[str, Any]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_LABEL_CHARACTERS = 63
_SUBDOMAIN_CHARACTERS = 253
_DATA_BYTES = 1024 * 1024
_ANNOTATION_BYTES = 256 * 1024


def causes(kind: Kind, body: Object) -> list[str]:
    """Everything that makes an object invalid, each with the path of its field."""
    metadata = body["metadata"]
    found = [*_of_name(kind, metadata), *_of_texts(metadata)]
    if not found:
        found = [*_of_labels(metadata.get("labels") or {}), *_of_annotations(metadata.get("annotations") or {})]
    return [*found, *_of_data(kind, body)]


def _of_name(kind: Kind, metadata: Object) -> list[str]:
    name = metadata.get("name")
    if not name:
        if metadata.get("generateName"):
            return ["metadata.generateName: Forbidden: the sandbox's Kubernetes does not generate names; give a name"]
        return ["metadata.name: Required value: name or generateName is required"]
    if kind.group == "rbac.authorization.k8s.io":
        # Roles and their bindings may have any name that fits into a path.
        wrong = name in (".", "..") or "/" in name or "%" in name
        return (
            [f"metadata.name: Invalid value: \"{name}\": may not be '.' or '..', nor contain '/' or '%'"]
            if wrong
            else []
        )
    pattern, longest = (_LABEL, _LABEL_CHARACTERS) if kind.name == "Namespace" else (_SUBDOMAIN, _SUBDOMAIN_CHARACTERS)
    if not re.fullmatch(pattern, str(name)):
        return [
            f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 name must consist of lower case '
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        ]
    if len(name) > longest:
        return [f'metadata.name: Invalid value: "{name}": must be no more than {longest} characters']
    return []


def _of_texts(metadata: Object) -> list[str]:
    return [
        f"metadata.{field}[{key}]: Invalid value: must be a string"
        for field in ("labels", "annotations")
        for key, value in (metadata.get(field) or {}).items()
        if not isinstance(value, str)
    ]


def _of_labels(labels: dict[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        yield from _of_key("metadata.labels", key)
        if len(value) > _LABEL_CHARACTERS:
            yield f'metadata.labels: Invalid value: "{value}": must be no more than {_LABEL_CHARACTERS} characters'
        if value and not _QUALIFIED_NAME.fullmatch(value):
            yield (
                f'metadata.labels: Invalid value: "{value}": a valid label must be an empty string or consist of '
                "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            )


def _of_annotations(annotations: dict[str, str]) -> Iterator[str]:
    for key in annotations:
        yield from _of_key("metadata.annotations", key.lower())
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _ANNOTATION_BYTES:
        yield f"metadata.annotations: Too long: may not be more than {_ANNOTATION_BYTES} bytes"


def _of_key(path: str, key: str) -> Iterator[str]:
    """Check the key of a label or an annotation: a name, with or without a DNS name and `/` in front of it."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (re.fullmatch(_SUBDOMAIN, prefix) and len(prefix) <= _SUBDOMAIN_CHARACTERS):
        yield f'{path}: Invalid value: "{key}": prefix part must be a lowercase RFC 1123 subdomain'
    if len(name) > _LABEL_CHARACTERS:
        yield f'{path}: Invalid value: "{key}": name part must be no more than {_LABEL_CHARACTERS} characters'
    if not _QUALIFIED_NAME.fullmatch(name):
        yield (
            f"{path}: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character"
        )


def _of_data(kind: Kind, body: Object) -> list[str]:
    if kind.name not in ("Secret", "ConfigMap"):
        return []
    entries = [
        (field, key, value)
        for field in ("data", "stringData", "binaryData")
        for key, value in (body.get(field) or {}).items()
    ]
    found = [
        f"{field}[{key}]: Invalid value: must be a string"
        for field, key, value in entries
        if not isinstance(value, str)
    ]
    if found:
        return found
    found = [
        f'{field}[{key}]: Invalid value: "{key}": a valid config key must consist of alphanumeric characters, '
        "'-', '_' or '.', and be no more than 253 characters"
        for field, key, _ in entries
        if not _DATA_KEY.fullmatch(key) or len(key) > _SUBDOMAIN_CHARACTERS
    ]
    if kind.name == "Secret":
        found += [
            f"data[{key}]: Invalid value: illegal base64 data"
            for field, key, value in entries
            if field == "data" and _decoded(value) is None
        ]
    if sum(_bytes(kind, field, value) for field, _, value in entries) > _DATA_BYTES:
        found.append(f"data: Too long: may not be more than {_DATA_BYTES} bytes")
    return found


def _bytes(kind: Kind, field: str, value: str) -> int:
    encoded = field == "binaryData" or (kind.name == "Secret" and field == "data")
    return len((_decoded(value) if encoded else None) or value.encode())


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
