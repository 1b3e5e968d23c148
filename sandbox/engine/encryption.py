"""Encryption of secrets by Pulumi's passphrase scheme, so that `pulumi stack import` understands the state.

The scheme is Pulumi's: a key from the passphrase by PBKDF2-HMAC-SHA256 with 1,000,000 iterations, values sealed with
AES-256-GCM and written `v1:NONCE:CIPHERTEXT`, and a salt text `v1:SALT:v1:NONCE:CIPHERTEXT` whose ciphertext holds the
word "pulumi", which tells a wrong passphrase: https://www.pulumi.com/docs/iac/concepts/secrets/
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.engine.errors import EngineError

_ITERATIONS = 1_000_000
_KEY_BYTES = 32
_SALT_BYTES = 8
_NONCE_BYTES = 12
_PROOF = "pulumi"


class Crypter:
    """Seals and opens the secrets of one stack. The key is derived on first use, once a process."""

    def __init__(self, passphrase: str, salt_text: str) -> None:
        self.salt_text = salt_text
        self._passphrase = passphrase
        self._cipher: AESGCM | None = None

    @classmethod
    def create(cls, passphrase: str) -> "Crypter":
        """Begin with a new random salt."""
        salt = os.urandom(_SALT_BYTES)
        cipher = AESGCM(_derive_key(passphrase, salt))
        crypter = cls(passphrase, f"v1:{_encode(salt)}:{_seal(cipher, _PROOF)}")
        crypter._cipher = cipher
        return crypter

    def encrypt(self, plaintext: str) -> str:
        return _seal(self._unlocked(), plaintext)

    def decrypt(self, ciphertext: str) -> str:
        return _open(self._unlocked(), ciphertext)

    def _unlocked(self) -> AESGCM:
        if self._cipher is None:
            version, _, rest = self.salt_text.partition(":")
            salt, _, proof = rest.partition(":")
            if version != "v1" or not proof:
                raise EngineError("The encryption salt is not of the form v1:SALT:v1:NONCE:CIPHERTEXT.")
            cipher = AESGCM(_derive_key(self._passphrase, _decode(salt)))
            if _open(cipher, proof) != _PROOF:
                raise _wrong_passphrase()
            self._cipher = cipher
        return self._cipher


def read_passphrase(environment: Mapping[str, str], passphrase_file: Path) -> str:
    """The passphrase, from the variables that Pulumi reads, else from the sandbox's own file, made at random once."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return environment["PULUMI_CONFIG_PASSPHRASE"]
    if path := environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise EngineError(f"PULUMI_CONFIG_PASSPHRASE_FILE: cannot read {path}: {error.strerror}.") from error
    try:
        return passphrase_file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return _create_passphrase_file(passphrase_file)


def _create_passphrase_file(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    passphrase = secrets.token_urlsafe(32)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(passphrase + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link, unlike a rename, fails when another process was first: then its passphrase counts.
        os.link(temporary, path)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    finally:
        temporary.unlink()
    return passphrase


def _derive_key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ITERATIONS, _KEY_BYTES)


def _seal(cipher: AESGCM, plaintext: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return f"v1:{_encode(nonce)}:{_encode(cipher.encrypt(nonce, plaintext.encode(), None))}"


def _open(cipher: AESGCM, sealed: str) -> str:
    version, _, rest = sealed.partition(":")
    nonce, _, ciphertext = rest.partition(":")
    if version != "v1":
        raise EngineError("An encrypted value is not of the form v1:NONCE:CIPHERTEXT.")
    try:
        return cipher.decrypt(_decode(nonce), _decode(ciphertext), None).decode()
    except InvalidTag as error:
        raise _wrong_passphrase() from error


def _wrong_passphrase() -> EngineError:
    return EngineError(
        "The passphrase does not open the secrets of this stack. Set PULUMI_CONFIG_PASSPHRASE (or "
        "PULUMI_CONFIG_PASSPHRASE_FILE) to the one they were encrypted with."
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise EngineError("An encrypted value is damaged: it is not base64.") from error
