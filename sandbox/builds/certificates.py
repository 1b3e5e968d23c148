"""The sandbox's certificate authority. Only its builds trust it."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LIFETIME = datetime.timedelta(days=7)  # every start makes new ones


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """A server's certificate, and the authority that its clients must trust."""

    server: SSLContext
    authority: Path
    """PEM file, for `SSL_CERT_FILE`."""


def certify(hosts: list[str], directory: Path) -> Certificates:
    """Make a certificate for `hosts` and an authority that signs it. The authority's key is not kept."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, subject = _named("Buildyard sandbox"), _named("Buildyard sandbox's hosts")
    authority = (
        _builder(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    # With the authority's own name, OpenSSL would take this certificate as signed by itself.
    certificate = (
        _builder(subject, issuer, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    directory.mkdir(parents=True, exist_ok=True)
    authority_file, server_file = directory / "authority.pem", directory / "server.pem"
    authority_file.write_bytes(authority.public_bytes(Encoding.PEM))
    server_file.touch(mode=0o600)
    server_file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    server = SSLContext(PROTOCOL_TLS_SERVER)
    server.load_cert_chain(server_file)
    return Certificates(server=server, authority=authority_file)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )
