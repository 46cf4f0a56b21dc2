"""The device's own key, and envelopes that it signs (DSSE: https://github.com/secure-systems-lab/dsse)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from profiles.errors import ConfigError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.documents.report import PAYLOAD_TYPE
from toolchain.fleet.documents.strict import to_bytes


class Identity:
    """Signs for this device."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        """PEM, SubjectPublicKeyInfo."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def envelope(self, document: object) -> bytes:
        """A document of ``toolchain.fleet.documents``, signed, as JSON."""
        envelope = Envelope(to_bytes(document), PAYLOAD_TYPE, {})
        envelope.sign(CryptoSigner(self._key))
        return json.dumps(envelope.to_dict(), separators=(",", ":")).encode()


def load(path: Path) -> Identity | None:
    """The device's key; None where it has none yet.

    Raises:
        ConfigError: others may read it, or it is no such key.
    """
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read the device's key {path}", seen=error.strerror or str(error)) from error
    if mode & 0o077:
        raise ConfigError(
            f"the device's key {path} must be for its owner alone", seen=f"mode {mode:o}", allowed="600",
            next_step=f"run: chmod 600 {path}; if others may have read it, revoke the device and enrol it anew",
        )  # fmt: skip
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} is no private key", seen="no PEM of PKCS #8", next_step="enrol anew") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is another kind of key", allowed="Ed25519")
    return Identity(key)


def load_or_make(path: Path, disk: Disk) -> Identity:
    """The device's key; a new one (mode 600) where there is none."""
    found = load(path)
    if found is not None:
        return found
    key = Ed25519PrivateKey.generate()
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    disk.folder(path.parent, 0o755)
    disk.write(path, key.private_bytes(serialization.Encoding.PEM, form, none), 0o600)
    return Identity(key)


def token(variable: str, path: Path | None) -> str:
    """The enrolment token, from a file or from the environment: never from the command line, which all can read.

    Raises:
        ConfigError: there is none.
    """
    try:
        found = path.read_text(encoding="ascii").strip() if path else os.environ.get(variable, "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read a token from {path}", seen=str(error)) from error
    if not found:
        raise ConfigError(
            "wanted an enrolment token", seen="none", allowed=f"--token-file FILE, or the variable {variable}",
            next_step="on the server, run: edgewright fleet token",
        )  # fmt: skip
    return found
