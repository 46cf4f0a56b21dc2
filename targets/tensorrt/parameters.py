"""The ``[parameters]`` of a device profile, each read as what it must be."""

from __future__ import annotations

import re
from typing import Any

from profiles.device import Device
from profiles.errors import ConfigError
from profiles.units import parse_quantity

_CAPABILITY = re.compile(r"\d{1,2}\.\d")


class Parameters:
    """The parameters of one device. Every reader raises a ConfigError for a value of the wrong kind."""

    def __init__(self, device: Device) -> None:
        self._name, self._values = device.name, device.parameters

    def wrong(self, key: str, seen: str, allowed: str) -> ConfigError:
        """The error for a parameter that cannot be used."""
        return ConfigError(
            f"wanted the parameter '{key}' of '{self._name}'",
            seen=seen,
            allowed=allowed,
            next_step=f"set parameters.{key} in the device profile, or under overrides in edge.toml",
        )

    def _value(self, key: str, kind: type, otherwise: Any, allowed: str) -> Any:
        value = self._values.get(key, otherwise)
        if type(value) is not kind:
            raise self.wrong(key, repr(value), allowed)
        return value

    def number(self, key: str, otherwise: int, least: int, most: int) -> int:
        """A whole number from ``least`` to ``most``."""
        allowed = f"a whole number from {least} to {most}"
        value = int(self._value(key, int, otherwise, allowed))
        if not least <= value <= most:
            raise self.wrong(key, str(value), allowed)
        return value

    def flag(self, key: str, otherwise: bool) -> bool:
        """True or false."""
        return bool(self._value(key, bool, otherwise, "true or false"))

    def one_of(self, key: str, allowed: tuple[str, ...], otherwise: str) -> str:
        """One of a few words."""
        value = self._values.get(key, otherwise)
        if value not in allowed:
            raise self.wrong(key, repr(value), ", ".join(allowed))
        return str(value)

    def bytes(self, key: str) -> int | None:
        """An amount of memory; None where it is missing or empty."""
        text = self._value(key, str, "", 'such as "256 MiB", or empty')
        return int(parse_quantity(text, "B", where=f"parameters.{key} of '{self._name}'")) if text else None

    def batches(self, key: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
        """Batch sizes, each once, in the order in which they are named."""
        values = self._values.get(key, otherwise)
        if not isinstance(values, (list, tuple)) or not values or any(type(v) is not int or v < 1 for v in values):
            raise self.wrong(key, repr(values), "whole numbers of at least 1, such as [1, 8]")
        return tuple(dict.fromkeys(values))

    def capability(self, key: str) -> str:
        """One compute capability."""
        return self.capabilities(key, (self._values.get(key),))[0]

    def capabilities(self, key: str, otherwise: tuple[Any, ...]) -> tuple[str, ...]:
        """Compute capabilities, each once, in ascending order."""
        values = self._values.get(key, otherwise)
        listed = values if isinstance(values, (list, tuple)) else [values]
        if not listed or any(not isinstance(value, str) or not _CAPABILITY.fullmatch(value) for value in listed):
            seen = "none" if listed in ((None,), [None], []) else repr(values)
            raise self.wrong(
                key, seen, 'a compute capability such as "8.6"; see https://developer.nvidia.com/cuda-gpus'
            )
        return tuple(sorted(dict.fromkeys(listed), key=lambda text: [int(part) for part in text.split(".")]))
