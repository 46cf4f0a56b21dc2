"""Energy of one inference, estimated from published figures that the profile names; nothing here was measured."""

from __future__ import annotations

from profiles.device import Device
from profiles.measurement import Kind, Metric, unavailable
from profiles.units import format_quantity, parse_quantity

#: Keys of ``[parameters]``: of the chip when it is powered, of one product with its sum, of one byte over the port.
KEYS = {"static_power": "W", "mac_energy": "J", "byte_energy": "J"}


def energy(device: Device, macs: int, moved: int, seconds: float | None) -> Metric:
    """Static power for the time of an inference, plus what arithmetic and the memory port take.

    E = static_power * seconds + mac_energy * macs + byte_energy * moved. Clock network, memories on the chip and what
    the rest of the board takes are not counted apart.

    Args:
        device: whose profile gives the coefficients with their sources.
        macs: of the layers that the array runs.
        moved: bytes over the memory port.
        seconds: of an inference; None where there is no clock.
    """
    absent = [key for key in KEYS if key not in device.parameters]
    if absent:
        words = f"no meter, and the profile of {device.name} has no published figure for {', '.join(absent)}"
        return unavailable("energy", words)
    if seconds is None:
        return unavailable("energy", "no meter, and no clock to turn cycles into the time of static power")
    static, mac, byte = (_coefficient(device, key) for key in KEYS)
    value = static * seconds + mac * macs + byte * moved
    return Metric(value, "J", Kind.ESTIMATED, _method(device, macs, moved, seconds))


def _coefficient(device: Device, key: str) -> float:
    return parse_quantity(device.parameters[key], KEYS[key], where=f"{device.name}: [parameters] {key}")


def _method(device: Device, macs: int, moved: int, seconds: float) -> str:
    times = (format_quantity(seconds, "s"), f"{macs:,} MACs", f"{moved:,} B over the port")
    terms = [
        f"{device.parameters[key]} x {amount} ({device.sources.get(f'parameters.{key}', 'no source given')})"
        for key, amount in zip(KEYS, times, strict=True)
    ]
    return "nothing was measured: " + " + ".join(terms)
