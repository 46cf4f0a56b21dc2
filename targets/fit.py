"""Whether a model fits a device's memories, as far as its constants tell."""

from __future__ import annotations

from profiles.device import Device
from profiles.units import format_quantity


def weights_fit(device: Device, weights_bytes: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences on what fits, and sentences on what does not."""
    said: list[str] = []
    problems: list[str] = []
    for kind in ("ram", "flash"):
        size = device.memory(kind)
        if size is None:
            continue
        sentence = f"constants of {format_quantity(weights_bytes, 'B')} in {format_quantity(size, 'B')} of {kind}"
        (said if weights_bytes <= size else problems).append(
            f"{sentence}: {'fits' if weights_bytes <= size else 'does not fit'}"
        )
    return tuple(said), tuple(problems)
