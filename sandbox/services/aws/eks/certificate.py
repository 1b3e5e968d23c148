"""A cluster's certificate authority: a real certificate, since kubectl checks it in a kubeconfig."""

import base64
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random


def certificate_authority() -> str:
    """A new authority's certificate in base64-encoded PEM, as EKS returns it. Its key is not kept."""
    key = Ed25519PrivateKey.from_private_bytes(mock_random.randbytes(32))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = utcnow().replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(mock_random.getrandbits(128) + 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, algorithm=None)
    )
    return base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()
