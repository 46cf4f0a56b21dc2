"""A bundle for a board in a release: its firmware gets the release's version, and is signed for the bootloader."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import ConfigError, UnsupportedError
from toolchain.fleet.documents.release import File, Packed
from toolchain.fleet.gateway.image import IMAGE
from toolchain.fleet.gateway.sign import Slot, sign_firmware

if TYPE_CHECKING:  # publishing imports this module
    from toolchain.fleet.publish.blobs import Blobs
    from toolchain.fleet.trust.repository import Repository

#: Name of the firmware key: its file is ``keys/firmware.pem``, and passphrases are asked for by this name.
KEY = "firmware"
_BINARY, _MANIFEST = "bundle/firmware.bin", "bundle/manifest.json"


@dataclasses.dataclass(frozen=True)
class Firmware:
    """What signing firmware takes.

    Attributes:
        key: the private half, PEM.
        passphrase: asked with the key's name when it is needed; an empty answer is none.
        slots: of the boards, by the names of their device profiles.
    """

    key: Path
    passphrase: Callable[[str], str]
    slots: Mapping[str, Slot]


def with_images(bundles: Sequence[Packed], blobs: Blobs, repository: Repository, release: int) -> tuple[Packed, ...]:
    """Bundles whose boards' firmware is signed, where ``fleet.toml`` has a table ``[firmware]``; else as they are.

    Raises:
        ConfigError: a bundle is for a real board, and there is no such table: every gateway would refuse it.
        EdgewrightError: as :func:`with_image`.
    """
    settings = repository.home.settings.firmware
    if settings is None:
        for each in bundles:
            if _is_flashed(each, blobs):
                raise _no_key(each.depends.board, repository.home.folder)
        return tuple(bundles)
    slots = {name: Slot(each.address, int(each.size), each.header) for name, each in settings.slots.items()}
    once = functools.cache(repository.keys.passphrase)  # a prompt asks once, however many boards there are
    firmware = Firmware(repository.home.folder / settings.key, once, slots)
    return tuple(
        with_image(each, blobs, firmware, release) if each.depends.board in slots or _firmware(each) else each
        for each in bundles
    )


def with_image(bundle: Packed, blobs: Blobs, firmware: Firmware, release: int) -> Packed:
    """The bundle with an image signed as this release; a bundle that is for no board stays as it is.

    Also for a release that repeats an older one: its firmware gets the new version, because boards do not go back.

    Raises:
        ConfigError: the firmware key cannot be used, or nothing is known of the board's slots.
        UnsupportedError: the bundle has no firmware, or it is too large for the slot.
    """
    board, binary = bundle.depends.board, _firmware(bundle)
    if not board:
        return bundle
    if board not in firmware.slots:
        raise ConfigError(
            f"cannot sign firmware for {board}", seen="its slots are unknown", allowed=", ".join(firmware.slots),
            next_step=f"add a table [firmware.slots.{board}] to fleet.toml: see docs/guide/fleet-microcontrollers.md",
        )  # fmt: skip
    if binary is None:
        raise UnsupportedError(f"the bundle for {board} has no firmware", seen=f"no {_BINARY}")
    passphrase, data = firmware.passphrase(KEY), blobs.path(binary.content).read_bytes()
    image = sign_firmware(
        _device(bundle, blobs), data, firmware.slots[board], firmware.key, passphrase, release=release
    )
    others = tuple(each for each in bundle.files if each.path != IMAGE)
    return dataclasses.replace(bundle, files=(*others, File(IMAGE, blobs.add(image))), builds=True)


def _firmware(bundle: Packed) -> File | None:
    return next((each for each in bundle.files if each.path == _BINARY), None)


def _device(bundle: Packed, blobs: Blobs) -> Mapping[str, Any]:
    manifest = next(each for each in bundle.files if each.path == _MANIFEST)
    device: Mapping[str, Any] = json.loads(blobs.path(manifest.content).read_bytes())["device"]
    return device


def _is_flashed(bundle: Packed, blobs: Blobs) -> bool:
    """Whether only a gateway can install it: emulated boards run under a plain agent, as well."""
    is_board = bundle.depends.board and _firmware(bundle) is not None
    return bool(is_board and _device(bundle, blobs).get("reach") == "serial")


def _no_key(board: str, home: Path) -> ConfigError:
    return ConfigError(
        f"cannot sign firmware for {board}: gateways install signed firmware only",
        seen=f"no table [firmware] in {home / 'fleet.toml'}",
        allowed=f"[firmware] and [firmware.slots.{board}] with address and size of the board's slot",
        next_step="make a firmware key, and add both tables: see docs/guide/fleet-microcontrollers.md",
    )
