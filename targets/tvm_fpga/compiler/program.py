"""A compiled region: the command stream, the image of the memory that it runs in, and where its tensors go in and
out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Tensor
from targets.tvm_fpga.compiler.reference import checked
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Op


@dataclasses.dataclass(frozen=True)
class Port:
    """Where a tensor lies in the memory, row by row.

    Plain: positions of ``pixel_bytes`` bytes, the channels and zeros behind them. Raw (``pixel_bytes`` is the number of
    channels): the rows as they are, with ``left`` columns of the zero point in front and as much behind as fills the
    row; the accelerator cuts them into runs itself.

    Attributes:
        tensor: what it is.
        at: byte address.
        row_bytes: from one row to the next.
        pixel_bytes: from one position to the next.
        left: columns of padding in front of a raw row; -1 for plain ones.
    """

    tensor: Tensor
    at: int
    row_bytes: int
    pixel_bytes: int
    left: int = -1

    @property
    def raw(self) -> bool:
        """Whether rows are kept as they are."""
        return self.left >= 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self.tensor.height * self.row_bytes

    def pack(self, value: Array) -> Array:
        """A tensor (int8, rows x columns x channels) as bytes of the image.

        Raises:
            DataError: another shape or type.
        """
        value = checked(self.tensor, {self.tensor.name: value})
        height, width, channels = value.shape
        rows = np.full((height, self.row_bytes), self.tensor.zero if self.raw else 0, np.int8)
        if self.raw:
            start = self.left * channels
            rows[:, start : start + width * channels] = value.reshape(height, -1)[:, : self.row_bytes - start]
        else:
            spread = np.zeros((height, width, self.pixel_bytes), np.int8)
            spread[..., :channels] = value
            rows[:, : width * self.pixel_bytes] = spread.reshape(height, -1)
        return rows.reshape(-1)

    def unpack(self, image: Array) -> Array:
        """The tensor in an image: int8, rows x columns x channels."""
        height, width, channels = self.tensor.shape
        rows = image[self.at : self.at + self.size].reshape(height, self.row_bytes)
        start = max(self.left, 0) * channels
        pixels = rows[:, start : start + width * self.pixel_bytes].reshape(height, width, self.pixel_bytes)
        return pixels[..., :channels].copy()


@dataclasses.dataclass(frozen=True)
class Program:
    """A command stream with its image.

    Attributes:
        geometry: what it was compiled for; it runs on nothing else.
        instructions: in order, padded to a multiple of four with FINISH.
        image: int8, bytes of the memory: the stream, weights and parameters, then room for tensors.
        program_at: byte address of the stream.
        inputs, outputs: where tensors go in and come out.
        layers: name of the layer of each COMPUTE, in order.
    """

    geometry: Geometry
    instructions: tuple[Instruction, ...]
    image: Array
    program_at: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[str, ...]

    def of(self, op: Op) -> list[Instruction]:
        """The instructions of one queue, in order."""
        return [each for each in self.instructions if each.op is op]

    def memory(self, inputs: Mapping[str, Array]) -> Array:
        """The image with inputs in their places.

        Raises:
            DataError: an input is missing, unknown, or has another shape or type.
        """
        if unknown := set(inputs) - {port.tensor.name for port in self.inputs}:
            names = ", ".join(port.tensor.name for port in self.inputs)
            raise DataError("the program's inputs", seen=", ".join(sorted(unknown)), allowed=names)
        image = self.image.copy()
        for port in self.inputs:
            image[port.at : port.at + port.size] = port.pack(checked(port.tensor, inputs))
        return image

    def results(self, image: Array) -> dict[str, Array]:
        """The outputs in an image after a run."""
        return {port.tensor.name: port.unpack(image) for port in self.outputs}

    def listing(self) -> str:
        """One line per instruction."""
        lines = [f"{number:5}  {each.text()}" for number, each in enumerate(self.instructions)]
        return "\n".join(lines) + "\n"
