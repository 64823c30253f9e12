"""Sealing of bytes under the vault's key, and where that key lives. What is sealed is not decided here.

AES-256-GCM (NIST SP 800-38D): a sealed file is a magic line, the id of its key, a random nonce and the
ciphertext with its tag. The name it was sealed under is authenticated, so one sealed file cannot stand in for
another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from e2i_assets.errors import E2IError

MAGIC = b"E2I-SEALED-1\n"
KEY_BYTES, ID_BYTES, NONCE_BYTES = 32, 8, 12


class VaultError(E2IError, RuntimeError):
    """The vault does not do what was asked."""

    code = "vault"


class VaultKeyError(VaultError):
    """The vault's key is missing, malformed, open to others, or not the one that sealed."""

    code = "vault_key"


class SealBroken(VaultError):
    """A sealed split is not there, was never encrypted, or has been altered."""

    code = "seal_broken"


class Sealer(Protocol):
    """Encrypts with a key that whoever may read the store alone does not have."""

    def seal(self, content: bytes, name: str) -> bytes:
        """Encrypt under a name."""

    def unseal(self, sealed: bytes, name: str) -> bytes:
        """Decrypt what was sealed under this name."""

    def opens(self, start: bytes) -> bool:
        """Whether contents with this start were sealed with this key."""


class VaultKey:
    """The key of one vault: the given one, or that of a file which only its owner can read."""

    def __init__(self, file: Path, configured: SecretStr | None = None) -> None:
        self._file = file
        self._configured = configured

    @property
    def is_there(self) -> bool:
        """Whether there is a key; whether it is one is found out when it is used."""
        return self._configured is not None or self._file.exists()

    def create_if_absent(self) -> None:
        """Make a key file unless there is a key; of two processes at once both use the first one's."""
        if self.is_there:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Complete and closed to others from its first moment, and never over a key that is there.
        descriptor, scratch = tempfile.mkstemp(dir=self._file.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            os.link(scratch, self._file)
        except FileExistsError:
            pass
        finally:
            Path(scratch).unlink()

    def seal(self, content: bytes, name: str) -> bytes:
        """Encrypt; no two sealings of the same content look alike.

        Raises:
            VaultKeyError: see `unseal`.
        """
        secret, nonce = self._secret(), secrets.token_bytes(NONCE_BYTES)
        return MAGIC + _id(secret) + nonce + AESGCM(secret).encrypt(nonce, content, name.encode())

    def unseal(self, sealed: bytes, name: str) -> bytes:
        """Decrypt what was sealed under this name.

        Raises:
            SealBroken: it was not sealed, or was altered, or was sealed under another name.
            VaultKeyError: there is no key, it is malformed or open to others, or another key sealed this.
        """
        if not sealed.startswith(MAGIC):
            raise SealBroken(f"{name} is not an encrypted file.", RESEAL)
        body = sealed[len(MAGIC) :]
        key_id, nonce = body[:ID_BYTES], body[ID_BYTES : ID_BYTES + NONCE_BYTES]
        secret = self._secret()
        if key_id != _id(secret):
            raise VaultKeyError(
                f"{name} was sealed with key {key_id.hex()}; the key here is {_id(secret).hex()}.",
                f"Give the key that sealed it (E2I_VAULT_KEY or {self._file}). If it is lost: {ANEW}",
            )
        try:
            return AESGCM(secret).decrypt(nonce, body[ID_BYTES + NONCE_BYTES :], name.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"{name} has been altered since it was sealed.", RESEAL) from error

    def sealed_by_this(self, start: bytes) -> bool:
        """Whether a file with this start was sealed with this key."""
        return start.startswith(MAGIC + _id(self._secret()))

    def _secret(self) -> bytes:
        if self._configured:
            return _decode(self._configured.get_secret_value(), "E2I_VAULT_KEY")
        try:
            others = self._file.stat().st_mode & 0o077
            text = self._file.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise VaultKeyError(
                f"the vault's key {self._file} cannot be read: {error.strerror}.",
                "Restore the file, or set E2I_VAULT_KEY to the key. If the key is lost, move the vault's "
                f"folder away. {ANEW}",
            ) from error
        if others:
            raise VaultKeyError(
                f"the vault's key {self._file} is open to other users.",
                f"chmod 600 {self._file}, and make a new key if somebody may have read it.",
            )
        return _decode(text, str(self._file))


ANEW = "Materialize everything once more (e2i materialize --force): what is sealed is sealed anew."
RESEAL = "Materialize splits once more (e2i materialize --select key:splits --force): it seals them anew."


def _id(secret: bytes) -> bytes:
    """Tells keys apart without telling the key."""
    return hashlib.sha256(b"e2i vault key id" + secret).digest()[:ID_BYTES]


def _decode(text: str, where: str) -> bytes:
    try:
        secret = base64.b64decode(text.strip().translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise VaultKeyError(
            f"{where} is no key: {KEY_BYTES} bytes in base64 are wanted.",
            f"Give the key that was made for this vault; a new one: openssl rand -base64 {KEY_BYTES}",
        )
    return secret
