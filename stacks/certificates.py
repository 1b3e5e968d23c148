"""The certificates of a company's authorities: PEM text, read with what Python itself knows of TLS."""

import re
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from stacks.problems import refusal

MAX_CHARACTERS = 256 * 1024
"""A ConfigMap and a Secret hold 1 MiB. All of Mozilla's authorities together have 220,000 characters."""

SOON = timedelta(days=30)

_LINE = re.compile(r"-----(BEGIN|END) ([^\n-]{1,64})-----")
_EXPORT = "Export the authorities' certificates alone, such as with `openssl x509 -in ca.crt -out ca.pem`."


def is_pem(text: str) -> bool:
    """Whether a text is meant as PEM, and not as the name of a file."""
    return "-----BEGIN" in text


def bundle(text: str) -> str:
    """The certificates of a PEM text, without the comments between them. Raises a refusal that repeats nothing of it.

    The text may be a private key that somebody took for the certificate.
    """
    if len(text) > MAX_CHARACTERS:
        raise refusal(f"has more than {MAX_CHARACTERS:,} characters", "Keep only the company's own authorities.")
    if any("PRIVATE KEY" in label for label in re.findall(r"-----BEGIN ([^\n]{1,64})", text)):
        raise refusal(
            "contains a private key, which builds must never see",
            f"Replace the key, since this file may have been read by others. {_EXPORT}",
        )
    lines = list(_LINE.finditer(text))
    blocks = [(begin, end) for begin, end in zip(lines[::2], lines[1::2], strict=False) if _is_block(begin, end)]
    if len(blocks) != text.count("-----BEGIN"):
        raise refusal("has a certificate without its end", "Copy it again, from BEGIN CERTIFICATE to END CERTIFICATE.")
    if not blocks:
        raise refusal("contains no certificate in PEM", f"It must begin with BEGIN CERTIFICATE. {_EXPORT}")
    certificates = [text[begin.start() : end.end()] for begin, end in blocks]
    for number, ((begin, _), certificate) in enumerate(zip(blocks, certificates, strict=True), 1):
        if begin[2] != "CERTIFICATE" or not _can_be_read(certificate):
            raise refusal(f"block {number} of {len(blocks)} is not a certificate in PEM", _EXPORT)
    return "".join(f"{each}\n" for each in certificates)


def _is_block(begin: re.Match[str], end: re.Match[str]) -> bool:
    return (begin[1], end[1]) == ("BEGIN", "END") and begin[2] == end[2]


def _can_be_read(block: str) -> bool:
    try:
        return _context(block).cert_store_stats()["x509"] == 1
    except (ssl.SSLError, ValueError):
        return False


def _context(pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context


def expiring(pem: str, now: datetime) -> Iterator[tuple[str, datetime]]:
    """The authorities whose certificates expire within 30 days, or have, each with its name and its end."""
    for found in _context(pem).get_ca_certs():
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), timezone.utc)
        if end - now < SOON:
            yield _name(found["subject"]), end


def _name(subject: object) -> str:
    """The subject's common name, else all that it says. Python gives it as nested tuples."""
    parts = [pair for part in subject for pair in part] if isinstance(subject, tuple) else []
    names = [value for key, value in parts if key == "commonName"] or [value for _, value in parts]
    return ", ".join(map(str, names)) or "without a name"
