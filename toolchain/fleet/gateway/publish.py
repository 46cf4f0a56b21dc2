"""A bundle for a board in a release: its firmware gets the release's version, and is signed for the bootloader."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from profiles.errors import ConfigError, UnsupportedError
from toolchain.fleet.documents.release import File, Packed
from toolchain.fleet.gateway.image import IMAGE
from toolchain.fleet.gateway.sign import Slot, sign_firmware
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.trust.repository import Repository

#: Name of the firmware key: its file is ``keys/firmware.pem``, and passphrases are asked for by this name.
KEY = "firmware"


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
        EdgewrightError: as :func:`with_image`.
    """
    settings = repository.home.settings.firmware
    if settings is None:
        return tuple(bundles)
    slots = {name: Slot(each.address, int(each.size), each.header) for name, each in settings.slots.items()}
    once = functools.cache(repository.keys.passphrase)  # a prompt asks once, however many boards there are
    firmware = Firmware(repository.home.folder / settings.key, once, slots)
    return tuple(with_image(each, blobs, firmware, release) for each in bundles)


def with_image(bundle: Packed, blobs: Blobs, firmware: Firmware | None, release: int) -> Packed:
    """The bundle with an image signed as this release; a bundle that is for no board stays as it is.

    Also for a release that repeats an older one: its firmware gets the new version, because boards do not go back.

    Raises:
        ConfigError: there is no firmware key, or nothing is known of the board's slots.
        UnsupportedError: the bundle has no firmware, or it is too large for the slot.
    """
    if not bundle.depends.board:
        return bundle
    board = bundle.depends.board
    if firmware is None or board not in firmware.slots:
        raise ConfigError(
            f"cannot sign firmware for {board}",
            seen="no firmware key" if firmware is None else "its slots are unknown",
            allowed=", ".join(firmware.slots) if firmware else "", next_step="see docs/guide/fleet-microcontrollers.md",
        )  # fmt: skip
    files = {each.path: each for each in bundle.files}
    try:
        binary, manifest = (blobs.path(files[f"bundle/{name}"].content) for name in ("firmware.bin", "manifest.json"))
    except KeyError as error:
        raise UnsupportedError(f"the bundle for {board} has no firmware", seen=f"no {error}") from error
    device = json.loads(manifest.read_bytes())["device"]
    passphrase = firmware.passphrase(KEY)
    image = sign_firmware(device, binary.read_bytes(), firmware.slots[board], firmware.key, passphrase, release=release)
    others = tuple(each for each in bundle.files if each.path != IMAGE)
    return dataclasses.replace(bundle, files=(*others, File(IMAGE, blobs.add(image))), builds=True)
