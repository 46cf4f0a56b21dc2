"""MCUboot images: what they say of themselves, and whether they are to be trusted.

Header and TLVs are those of MCUboot (its ``docs/design.md``, "Image format"); ``smpclient`` reads them, ``imgtool``,
MCUboot's own tool, verifies hash and signature. Nothing here can sign: see :mod:`toolchain.fleet.gateway.sign`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
import uuid
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, UnsupportedError, VerificationError

#: The signed image among the packed files of a bundle for a board, beside the folder ``bundle/``.
IMAGE = "firmware.signed.bin"
#: The vendor under which boards have their class identifier (TLV 0x75), see :func:`class_of`.
VENDOR = "edgewright"
Version = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Identity:
    """What an image says of itself.

    Attributes:
        version: of its header.
        digest: SHA-256 of header, firmware and protected TLVs (TLV 0x10), by which the board names it.
        board: class identifier of the board that it is for (TLV 0x75); empty for none.
        size: bytes of the whole file.
    """

    version: Version
    digest: bytes
    board: bytes
    size: int

    @property
    def release(self) -> int:
        """The fleet's version."""
        return release_of(self.version)


def version_of(release: int) -> Version:
    """Major, minor and revision of a release: its bits 24 to 30, 16 to 23, and 0 to 15; they grow as releases do."""
    if not 1 <= release < 1 << 31:
        raise ValueError(f"a release is 1 to {(1 << 31) - 1}, not {release}")
    return release >> 24, release >> 16 & 0xFF, release & 0xFFFF


def release_of(version: Version) -> int:
    """The release whose image has this version."""
    return version[0] << 24 | version[1] << 16 | version[2]


def class_of(board: str) -> bytes:
    """The class identifier of a board: a UUID of version 5 (RFC 4122), as ``imgtool --vid edgewright --cid BOARD``."""
    return uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_DNS, VENDOR), board).bytes


def read_image(path: Path) -> Identity:
    """What an image says of itself; it is not verified.

    Raises:
        VerificationError: it is none, or is cut off.
    """
    from imgtool.image import (
        TLV_VALUES,  # smpclient 7.3 has older numbers for the identifiers than MCUboot 2.3 and later
    )
    from smpclient.mcuboot import IMAGE_TLV, ImageInfo, MCUBootImageError

    if not path.is_file():
        raise VerificationError(
            "the release has no signed firmware", seen=f"no {path.name}",
            next_step="publish it from a fleet whose fleet.toml has a table [firmware]",
        )  # fmt: skip
    try:
        info = ImageInfo.load_file(str(path))
        tlvs = {int(each.header.type): each.value for each in (*info.tlvs, *(info.protected_tlvs or []))}
        version = info.header.ver
        return Identity(
            (version.major, version.minor, version.revision),
            tlvs[IMAGE_TLV.SHA256],
            tlvs.get(TLV_VALUES["UUID_CID"], b""),
            path.stat().st_size,
        )
    except (OSError, MCUBootImageError, struct.error, ValueError, KeyError) as error:
        raise VerificationError(f"{path.name} is no MCUboot image", seen=f"{error}"[:200]) from error


def check_image(path: Path, key: Path, board: str) -> Identity:
    """An image that is whole, signed with the firmware key, and for this board.

    Raises:
        VerificationError: it is not whole, or not signed with that key.
        UnsupportedError: it is for another board.
        ConfigError: the key cannot be read, or is a private one.
    """
    from imgtool.image import Image, VerifyResult

    found, public = read_image(path), public_key(key)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # imgtool prints what it does
            verdict = Image.verify(str(path), public)[0]
    except struct.error as error:
        raise VerificationError(f"{path.name} is cut off", seen=str(error)) from error
    if verdict is not VerifyResult.OK:
        raise VerificationError(
            f"{path.name} is not signed with the firmware key", seen=verdict.name.lower().replace("_", " "),
            allowed=f"a signature by the key in {key.name}",
            next_step="publish it again with the fleet's firmware key",
        )  # fmt: skip
    if found.board != class_of(board):
        raise UnsupportedError(
            f"{path.name} is for another board", seen=found.board.hex() or "no board", allowed=f"{board}"
        )
    return found


def public_key(path: Path) -> Any:
    """The public half of a firmware key.

    Raises:
        ConfigError: it cannot be read, or the private half lies there, which a gateway must not have.
    """
    from imgtool import keys

    try:
        text = path.read_bytes()
        if b"PRIVATE KEY" in text:
            raise ConfigError(
                f"{path} holds a private key", allowed="the public half, PEM",
                next_step="take it off this machine, and make a new firmware key if others can read it",
            )  # fmt: skip
        found = keys.load(str(path))
    except OSError as error:
        raise ConfigError(f"wanted the firmware key {path}", seen=error.strerror or str(error)) from error
    except ValueError as error:
        raise ConfigError(f"{path} is no public key", seen=str(error)[:200], allowed="PEM") from error
    if not hasattr(found, "sig_tlv"):
        raise ConfigError(f"{path} is no key that MCUboot verifies with", seen=type(found).__name__)
    return found
