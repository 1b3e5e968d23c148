"""A cluster's certificate authority, and the certificates that it issues: real ones, since clients check them."""

import base64
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random

_DAYS = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True)
class Authority:
    """The authority of one cluster. Like those of EKS's older clusters, it has no key identifiers."""

    certificate: x509.Certificate
    key: Ed25519PrivateKey

    @classmethod
    def make(cls) -> "Authority":
        key = Ed25519PrivateKey.from_private_bytes(mock_random.randbytes(32))
        name = _name("kubernetes")
        builder = _valid(x509.CertificateBuilder()).subject_name(name).issuer_name(name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        signed = builder.public_key(key.public_key()).serial_number(mock_random.getrandbits(128) + 1)
        return cls(certificate=signed.sign(key, algorithm=None), key=key)

    @property
    def data(self) -> str:
        """The certificate in base64-encoded PEM, as EKS returns it."""
        return base64.b64encode(self.certificate.public_bytes(Encoding.PEM)).decode()

    def issue(self, host: str) -> bytes:
        """A server's certificate for a host, and its private key: both in PEM."""
        key = Ed25519PrivateKey.generate()
        builder = _valid(x509.CertificateBuilder()).subject_name(_name("kube-apiserver"))
        builder = builder.issuer_name(self.certificate.subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return signed.sign(self.key, algorithm=None).public_bytes(Encoding.PEM) + private


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _valid(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    now = utcnow().replace(microsecond=0)
    return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + _DAYS)
