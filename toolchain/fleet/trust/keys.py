"""The keys of a fleet by their URI: those in files (:mod:`toolchain.fleet.trust.keyfiles`), tokens, and clouds' keys.

Which public key belongs to which URI stands in ``keys/public.json``. Ed25519 (RFC 8032) where we choose.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, Signer, SSlibKey

from profiles.errors import ConfigError
from targets.files import write_json
from toolchain.fleet.trust.keyfiles import Unavailable, read_private, write_private

log = logging.getLogger("edgewright.fleet.keys")

PUBLIC = "public.json"
#: The scheme of keys in files; all others are those of securesystemslib.
IN_FILE = "file2:"


class KeyRing:
    """The keys of a fleet.

    Args:
        folder: of the fleet; relative paths in URIs begin here.
        passphrase: gives the passphrase of a key by its name; is called when the key is needed.
    """

    def __init__(self, folder: Path, passphrase: Callable[[str], str]) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._open: dict[str, Signer] = {}

    def passphrase(self, name: str) -> str:
        """The passphrase of a key that signs no metadata, such as the firmware key."""
        return self._passphrase(name)

    def public(self) -> dict[str, Key]:
        """The public key of every URI that is known.

        Raises:
            ConfigError: the list is damaged.
        """
        path = self._folder / "keys" / PUBLIC
        try:
            entries: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
            return {uri: _key_from(entry) for uri, entry in entries.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path} is damaged", seen=f"{type(error).__name__}: {error}", next_step="restore it from a copy"
            ) from error

    def known(self, uris: Iterable[str]) -> dict[str, Key]:
        """:meth:`public`, and those of the given URIs whose files were moved: they have the name of a known file.

        Whether a moved file is the right one shows when it signs: :meth:`signer` compares the two halves.

        Raises:
            ConfigError: the list is damaged.
        """
        public = self.public()
        names = {self.path(uri).name: key for uri, key in public.items() if uri.startswith(IN_FILE)}
        files = [uri for uri in uris if uri.startswith(IN_FILE) and uri not in public]
        return {**public, **{uri: names[self.path(uri).name] for uri in files if self.path(uri).name in names}}

    def remember(self, keys: Mapping[str, Key]) -> None:
        """Note which public key belongs to which URI, beside those that are known."""
        self._write({**self.public(), **keys})

    def _write(self, keys: Mapping[str, Key]) -> None:
        entries = {uri: {"keyid": key.keyid, **key.to_dict()} for uri, key in sorted(keys.items())}
        write_json(self._folder / "keys" / PUBLIC, entries)

    def generate(self, role: str, *, encrypt: bool) -> tuple[str, Key]:
        """A new Ed25519 key in a file; returns its URI and its public half.

        Raises:
            ConfigError: the passphrase is too short.
            OutputError: the folder cannot be written.
        """
        private = Ed25519PrivateKey.generate()
        signer = CryptoSigner(private)
        name = f"{role}-{signer.public_key.keyid[:8]}"
        write_private(self._folder / "keys" / f"{name}.pem", private, self._passphrase if encrypt else None)
        uri = f"{IN_FILE}keys/{name}.pem"
        self.remember({uri: signer.public_key})
        self._open[uri] = signer
        return uri, signer.public_key

    def adopt(self, other: KeyRing) -> None:
        """Take over the keys that another ring of this fleet has open."""
        self._open |= other._open

    def forget(self, uris: list[str]) -> None:
        """Remove keys for good: their lines in the list, and their files where they have some."""
        self._write({uri: key for uri, key in self.public().items() if uri not in uris})
        for uri in uris:
            self._open.pop(uri, None)
            if uri.startswith(IN_FILE):
                self._unlink(self.path(uri))

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # media that are read only: nothing signs with it any more all the same
            log.warning("%s signs nothing any more, and could not be removed: %s", path, error.strerror)

    def path(self, uri: str) -> Path:
        """The file of a key in a file."""
        return self._folder / uri.removeprefix(IN_FILE)

    def signer(self, uri: str, key: Key) -> Signer:
        """What signs with a key.

        Raises:
            Unavailable: it cannot be used here.
            ConfigError: its passphrase is wrong, or others can read its file.
        """
        opened = self._open.get(uri)
        if opened is None or opened.public_key.keyid != key.keyid:
            self._open[uri] = self._load_file(uri, key) if uri.startswith(IN_FILE) else self._load_other(uri, key)
        return self._open[uri]

    def _load_file(self, uri: str, key: Key) -> Signer:
        path = self.path(uri)
        private = read_private(path, self._passphrase)
        if not isinstance(key, SSlibKey) or CryptoSigner(private).public_key.keyval != key.keyval:
            raise ConfigError(
                f"{path} holds another key than {PUBLIC} says",
                seen="a private key that does not belong to its public one",
                allowed=key.keyid,
                next_step="restore it from a copy, or: edgewright fleet keys revoke",
            )
        return CryptoSigner(private, key)

    def _load_other(self, uri: str, key: Key) -> Signer:
        scheme = uri.partition(":")[0]
        if scheme not in SIGNER_FOR_URI_SCHEME:
            raise ConfigError(
                f"wanted to sign with {uri}",
                seen=f"unknown scheme '{scheme}'",
                allowed=", ".join(["file2", *sorted(SIGNER_FOR_URI_SCHEME)]),
            )
        try:
            return Signer.from_priv_key_uri(uri, key, self._passphrase)
        except Exception as error:  # every kind of token and cloud has errors of its own, and documents none
            raise Unavailable(f"{uri}: {type(error).__name__}: {error}") from error


def _key_from(entry: Mapping[str, Any]) -> Key:
    fields = dict(entry)
    return Key.from_dict(fields.pop("keyid"), fields)
