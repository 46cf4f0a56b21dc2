"""What the host hands to a region and gets back: module tensors against the accelerator's rows x columns x channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array

_OFFSETS = {"int8": 0, "uint8": 128}


@dataclasses.dataclass(frozen=True)
class HostPort:
    """One input or output of a region.

    Attributes:
        name: of the region's tensor.
        shape: in the module: (1, C, H, W) or (1, C).
        dtype: in the module: ``int8``, or ``uint8``, from which the accelerator's numbers differ by 128.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in _OFFSETS or len(self.shape) not in (2, 4) or self.shape[0] != 1:
            raise DataError(
                f"the region's tensor '{self.name}'",
                seen=f"{self.dtype} {self.shape}",
                allowed="int8 or uint8 of the form (1, C, H, W) or (1, C)",
            )

    @property
    def offset(self) -> int:
        """What is subtracted from the module's numbers."""
        return _OFFSETS[self.dtype]

    @property
    def bytes(self) -> int:
        """That cross the border."""
        return int(np.prod(self.shape))

    def to_region(self, value: Array) -> Array:
        """The module's tensor as int8, rows x columns x channels.

        Raises:
            DataError: another shape or type.
        """
        if value.shape != self.shape or str(value.dtype) != self.dtype:
            raise DataError(
                f"the region's tensor '{self.name}'",
                seen=f"{value.dtype} {value.shape}",
                allowed=f"{self.dtype} {self.shape}",
            )
        last = value.reshape(1, 1, -1) if len(self.shape) == 2 else value[0].transpose(1, 2, 0)
        return np.ascontiguousarray((last.astype(np.int16) - self.offset).astype(np.int8))

    def from_region(self, value: Array) -> Array:
        """The inverse of :meth:`to_region`."""
        moved = (value.astype(np.int16) + self.offset).astype(self.dtype)
        return np.ascontiguousarray(moved.transpose(2, 0, 1)).reshape(self.shape)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the manifest."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HostPort:
        """The inverse of :meth:`as_dict`."""
        return cls(str(data["name"]), tuple(int(size) for size in data["shape"]), str(data["dtype"]))


@dataclasses.dataclass(frozen=True)
class HostRegion:
    """What the host must know of one region: the name it calls, and what goes in and comes out, in order."""

    symbol: str
    inputs: tuple[HostPort, ...]
    outputs: tuple[HostPort, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the manifest."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        return {"symbol": self.symbol, **{name: [port.as_dict() for port in ports] for name, ports in sides.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HostRegion:
        """The inverse of :meth:`as_dict`."""
        inputs, outputs = (tuple(HostPort.from_dict(each) for each in data[name]) for name in ("inputs", "outputs"))
        return cls(str(data["symbol"]), inputs, outputs)
