"""Which card CUDA's first device is, in NVML's numbers.

NVML counts the cards in the order of the bus. CUDA shows those that ``CUDA_VISIBLE_DEVICES`` names, by number or by
UUID, and counts them fastest first unless ``CUDA_DEVICE_ORDER`` is ``PCI_BUS_ID`` (CUDA Programming Guide, "CUDA
Environment Variables"). With several cards a number alone therefore names no card for certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from profiles.errors import ConfigError, MissingToolError, UnsupportedError
from profiles.nvml import Nvml

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
MIG_SEEN = "a MIG slice"
_MIG_STEP = "measure on the whole card: the counter and the sensor belong to it, and no slice has its own"


def candidates(nvml: Nvml, environment: Mapping[str, str]) -> list[int]:
    """NVML's numbers of the cards that CUDA's first device can be: one where that is certain.

    Args:
        nvml: opened.
        environment: variables, such as ``os.environ``.

    Raises:
        MissingToolError: there is no card, or none is visible.
        ConfigError: a card is named that is not there.
        UnsupportedError: a MIG slice is named.
    """
    count = int(nvml.ask("nvmlDeviceGetCount"))
    named = environment.get(VISIBLE, "0").split(",")[0].strip()
    if not count:
        raise MissingToolError("wanted an NVIDIA GPU", seen="none", next_step="run: nvidia-smi -L")
    if named in ("", "-1"):
        raise MissingToolError(
            "wanted an NVIDIA GPU", seen=f"{VISIBLE} hides every one", next_step=f"run: unset {VISIBLE}"
        )
    if named.startswith("MIG-"):
        raise UnsupportedError(
            "wanted a whole NVIDIA GPU", seen=f"{MIG_SEEN} in {VISIBLE}", allowed="a GPU", next_step=_MIG_STEP
        )
    if named.startswith("GPU-"):
        return [_by_uuid(nvml, named, count)]
    return _by_number(named, count, certain=count == 1 or environment.get(ORDER) == "PCI_BUS_ID")


def the_card(nvml: Nvml, environment: Mapping[str, str]) -> int:
    """NVML's number of CUDA's first device.

    Raises:
        ConfigError: it can be one of several.
        UnsupportedError: it is cut into MIG slices.
        EdgewrightError: as :func:`candidates`.
    """
    found = candidates(nvml, environment)
    if len(found) > 1:
        raise ConfigError(
            "wanted to know which NVIDIA GPU runs the model",
            seen=f"{len(found)} of them, which CUDA and NVML count differently",
            next_step=f"set {VISIBLE} to one GPU's UUID (nvidia-smi -L), or {ORDER}=PCI_BUS_ID",
        )
    if is_sliced(nvml, nvml.ask("nvmlDeviceGetHandleByIndex", found[0])):
        raise UnsupportedError(
            "wanted a whole NVIDIA GPU", seen=f"{MIG_SEEN}: the card is in MIG mode", next_step=_MIG_STEP
        )
    return found[0]


def is_sliced(nvml: Nvml, handle: object) -> bool | None:
    """Whether the card is in MIG mode; None for a card without it."""
    modes = nvml.ask_or_none("nvmlDeviceGetMigMode", handle)
    return None if modes is None else bool(modes[0])


def _by_number(named: str, count: int, *, certain: bool) -> list[int]:
    if not re.fullmatch(r"\d+", named) or int(named) >= count:
        raise ConfigError(
            "wanted an NVIDIA GPU",
            seen=f"{VISIBLE} = {named!r}",
            allowed=f"0 to {count - 1}, or a UUID that begins with GPU-",
            next_step="run: nvidia-smi -L",
        )
    return [int(named)] if certain else list(range(count))


def _by_uuid(nvml: Nvml, named: str, count: int) -> int:
    """A UUID may be abbreviated to as many of its first digits as tell it from the others."""
    handles = [nvml.ask("nvmlDeviceGetHandleByIndex", number) for number in range(count)]
    found = [n for n, handle in enumerate(handles) if str(nvml.ask("nvmlDeviceGetUUID", handle)).startswith(named)]
    if len(found) != 1:
        raise ConfigError(
            "wanted an NVIDIA GPU",
            seen=f"{len(found) or 'no'} cards whose UUID begins like the one in {VISIBLE}",
            next_step="run: nvidia-smi -L",
        )
    return found[0]
