"""Private keys in files: mode 0600 from the first moment, PKCS #8 (RFC 5958), encrypted where they are offline.

The library makes guessing a passphrase 2048 times slower (PBKDF2) and offers no other choice; who wants more writes the
file anew with ``openssl pkcs8 -topk8 -scrypt``, which is read as well.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import Key, SSlibKey

from profiles.errors import ConfigError
from targets.files import output_error
from toolchain.fleet.trust.journal import flush

#: Characters of a passphrase, at least: PKCS #8 makes guessing only a little slower.
SHORTEST = 12


class Unavailable(Exception):
    """A key that cannot sign here; the text says why."""


def read_private(path: Path, passphrase: Callable[[str], str]) -> Any:
    """The private key in a file.

    Raises:
        Unavailable: the file cannot be read.
        ConfigError: its passphrase is wrong, it is damaged, or others can read it.
    """
    try:
        mode, pem = stat.S_IMODE(path.stat().st_mode), path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError(
            f"the private key {path} is open to others",
            seen=f"mode {mode:04o}",
            allowed="0600",
            next_step=f"run: chmod 600 {path}",
        )
    return _decrypt(pem, path.stem, passphrase)


def write_private(path: Path, private: Ed25519PrivateKey, passphrase: Callable[[str], str] | None) -> None:
    """Put a key into a new file, encrypted unless ``passphrase`` is None; never over another file.

    Raises:
        ConfigError: the passphrase is too short.
        OutputError: the folder cannot be written.
    """
    guard = BestAvailableEncryption(_checked(passphrase(path.stem), path.stem)) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, guard)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, 0o600)
            stream.write(pem)
            stream.flush()
            os.fsync(handle)
    except OSError as error:
        raise output_error(path, error) from error
    flush(path.parent)


def _checked(passphrase: str, name: str) -> bytes:
    if len(passphrase) < SHORTEST:
        raise ConfigError(
            f"the passphrase of {name} is too short",
            seen=f"{len(passphrase)} characters",
            allowed=f"{SHORTEST} or more",
            next_step="take several random words",
        )
    return passphrase.encode()


def _decrypt(pem: bytes, name: str, passphrase: Callable[[str], str]) -> Any:
    """The private key in a file; what the library says of a wrong passphrase is not passed on."""
    try:
        if b"ENCRYPTED" not in pem.partition(b"\n")[0]:
            return load_pem_private_key(pem, None)
        given = passphrase(name)
        return load_pem_private_key(pem, given.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    raise ConfigError(
        f"wanted to open the private key {name}",
        seen="a wrong passphrase, or a damaged file",
        next_step="check EDGEWRIGHT_FLEET_PASSPHRASE or --passphrase-file",
    )


def public_from_pem(pem: bytes, where: str) -> Key:
    """A public key that somebody hands in.

    Raises:
        ConfigError: it is none, or of a kind that TUF does not have.
    """
    try:
        return SSlibKey.from_crypto(load_pem_public_key(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"wanted a public key in {where}", seen=str(error).partition("\n")[0], allowed="PEM: Ed25519, ECDSA, RSA"
        ) from error
