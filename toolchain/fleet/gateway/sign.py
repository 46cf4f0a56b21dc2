"""Publishing firmware: a bundle's ``firmware.bin`` becomes a signed MCUboot image. Never runs on a gateway.

The image is made by ``imgtool``, MCUboot's own tool: header, TLVs, hash and signature are its work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, EdgewrightError, UnsupportedError
from targets.files import output_error, write_bytes
from toolchain.fleet.gateway.image import VENDOR, version_of

#: Bytes of a header: vectors behind it lie where every Cortex-M may have them.
HEADER = 0x200
#: What a board's flash writes at a time, in bytes, at most; decides how large a slot's trailer is.
_ALIGN = 8
#: Characters of a passphrase, at least.
SHORTEST = 12


@dataclasses.dataclass(frozen=True)
class Slot:
    """The primary slot of a board.

    Attributes:
        address: where it lies in the board's memory.
        size: bytes, trailer included.
        header: bytes in front of the firmware.
    """

    address: int
    size: int
    header: int = HEADER

    def overrides(self, memory: str) -> dict[str, Any]:
        """What a project must override so that firmware is linked for this slot; ``memory`` is its flash's name."""
        return {f"memory.{memory}.base": self.address + self.header, f"memory.{memory}.size": f"{self._room} B"}

    @property
    def _room(self) -> int:
        """Bytes for the firmware: without header, TLVs (less than 512 bytes) and trailer (less than a 4 KiB sector)."""
        return self.size - self.header - 512 - 4096


def make_key(private: Path, public: Path, passphrase: str) -> None:
    """A new firmware key (Ed25519, RFC 8032): the private half encrypted (PKCS #8), of mode 0600.

    Raises:
        ConfigError: there is a key already, or the passphrase is too short.
        OutputError: it cannot be written.
    """
    from imgtool.keys import Ed25519

    if len(passphrase) < SHORTEST:
        raise ConfigError("the passphrase is too short", allowed=f"{SHORTEST} characters at least")
    key = Ed25519.generate()
    try:
        with tempfile.TemporaryDirectory(dir=private.parent) as place:  # of mode 0700
            half = Path(place, "key.pem")
            key.export_private(str(half), passphrase.encode())
            half.chmod(0o600)
            os.link(half, private)  # fails where there is one
    except FileExistsError as error:
        raise ConfigError(
            f"{private} is there already", next_step="boards know its public half: keep it, or choose another name"
        ) from error
    except OSError as error:
        raise output_error(private, error) from error
    write_bytes(public, key.get_public_pem())


def sign_firmware(
    device: Mapping[str, Any], firmware: bytes, slot: Slot, key: Path, passphrase: str, *, release: int
) -> bytes:
    """The signed image of a bundle's firmware. The same inputs give the same bytes where the key is an Ed25519 key.

    Args:
        device: the profile in the bundle's manifest.
        firmware: ``firmware.bin``.
        slot: of the board.
        key: the private half, PEM.
        passphrase: of the key; empty for none.
        release: the fleet's version.

    Raises:
        ConfigError: the key cannot be read, or the firmware was linked for another place.
        UnsupportedError: the image is too large for the slot.
    """
    _check_place(device, slot)
    signer = _private_key(key, passphrase)
    with _our_errors(len(firmware), slot), tempfile.TemporaryDirectory(prefix="edgewright-") as place:
        binary = Path(place, "firmware.bin")
        binary.write_bytes(firmware)
        image = _image(slot, release, str(device["name"]))
        image.load(str(binary))
        image.create(signer, "hash", None)
        return bytes(image.payload)


def _image(slot: Slot, release: int, board: str) -> Any:
    from imgtool.image import Image
    from imgtool.version import decode_version

    return Image(
        version=decode_version(".".join(map(str, version_of(release)))), header_size=slot.header, pad_header=True,
        align=_ALIGN, slot_size=slot.size, vid=VENDOR, cid=board,
    )  # fmt: skip


@contextlib.contextmanager
def _our_errors(size: int, slot: Slot) -> Iterator[None]:
    """What imgtool refuses, in our words; what it prints is not for our users."""
    import click

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except click.ClickException as error:
        raise UnsupportedError(
            "the image does not fit its slot", seen=f"{size} bytes of firmware: {error.format_message()}",
            allowed=f"{slot.size} bytes with header, signature and trailer",
            next_step="choose a smaller model, or give the board larger slots",
        ) from error  # fmt: skip


def _check_place(device: Mapping[str, Any], slot: Slot) -> None:
    memories = [
        each for each in device.get("memories", ()) if each.get("kind") == "flash" and each.get("base") is not None
    ]
    base = memories[0]["base"] if memories else None
    if base != slot.address + slot.header:
        name = memories[0]["name"] if memories else "flash"
        raise ConfigError(
            f"the firmware of {device.get('name')} is not linked for its slot",
            seen="no address" if base is None else f"0x{base:x}",
            allowed=f"0x{slot.address + slot.header:x}: the slot's address and its header",
            next_step=f'build it with overrides = {{ "memory.{name}.base" = 0x{slot.address + slot.header:x} }}',
        )


def _private_key(path: Path, passphrase: str) -> Any:
    from imgtool import keys

    try:
        found = keys.load(str(path), passphrase.encode() or None)
    except OSError as error:
        raise ConfigError(f"wanted the firmware key {path}", seen=error.strerror or str(error)) from error
    except (ValueError, TypeError) as error:
        raise _no_key(path, "it is damaged, or the passphrase is wrong") from error
    if found is None:
        raise _no_key(path, "it is encrypted, and there is no passphrase")
    if not hasattr(found, "sign_digest") and not hasattr(found, "sign"):
        raise _no_key(path, "it is a public key")
    return found


def _no_key(path: Path, seen: str) -> EdgewrightError:
    return ConfigError(f"cannot sign with {path.name}", seen=seen, allowed="a private key, PEM")
