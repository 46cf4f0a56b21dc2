"""The graph as plain data: tensors with values and quantization, operators with named options.

Shapes are those of the TFLite schema (``NHWC`` images, ``OHWI`` convolution weights, ``1HWC`` depthwise
weights, ``OI`` dense weights), batch axis included. Quantization is Jacob et al. 2018, equation 1:
real = scale * (q - zero_point).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from profiles.runner import Array

#: Bytes of one element, for the types that may appear in a graph.
ITEM_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4}


@dataclasses.dataclass(frozen=True)
class Quantization:
    """``scale`` and ``zero_point`` have one entry, or one per slice along ``axis``."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_tensor(self) -> bool:
        """Whether one pair serves the whole tensor."""
        return len(self.scale) == 1


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        index: key of this tensor in its graph.
        name: as written in the file.
        shape: all dimensions fixed and at least 1.
        dtype: numpy name; schema names for what numpy lacks (``int4``), ``sparse int8`` for sparse constants.
        quantization: None for tensors without a scale, and for float ones.
        data: the values of a constant or the first value of a variable, in ``shape`` and ``dtype``; None for others.
        variable: keeps its value from one inference to the next.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: Array | None = dataclasses.field(default=None, compare=False, repr=False)
    variable: bool = False

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in memory; as stored for types of other sizes (int4, sparse), whose constants are held as raw bytes."""
        if self.dtype in ITEM_BYTES:
            return self.elements * ITEM_BYTES[self.dtype]
        return 0 if self.data is None else self.data.nbytes

    @property
    def constant(self) -> bool:
        """Whether the file holds its values."""
        return self.data is not None and not self.variable

    @property
    def scale(self) -> float:
        """The one scale of a per-tensor quantized tensor, as the float32 value the file holds."""
        assert self.quantization is not None and self.quantization.per_tensor
        return float(np.float32(self.quantization.scale[0]))

    @property
    def zero_point(self) -> int:
        """The one zero point of a per-tensor quantized tensor."""
        assert self.quantization is not None
        return self.quantization.zero_point[0]


@dataclasses.dataclass(frozen=True)
class Op:
    """One operator.

    Attributes:
        index: key of this operator in its graph, and its place in the order of the file.
        kind: builtin name of the schema (``CONV_2D``), ``custom NAME`` for a custom operator, and ``COPY`` and
            ``TABLE``, which passes of our own make.
        inputs: tensor keys; -1 marks an input that is left out.
        outputs: tensor keys.
        options: of the schema's options table, in snake case, enumerations as lower-case names
            (``{"padding": "same", "stride_h": 1, "fused_activation_function": "relu"}``); padding that a pass has
            fused is ``"explicit"``, with ``pad`` as (top, bottom, left, right); ``intermediates`` are tensor keys.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Graph:
    """A checked graph: every tensor that an operator names exists, and operators are in an order that runs.

    Attributes:
        name: of the model.
        tensors: by key.
        ops: in order of execution.
        inputs, outputs: tensor keys.
    """

    name: str
    tensors: Mapping[int, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, key: int) -> Tensor:
        """The tensor of one key."""
        return self.tensors[key]

    def ins(self, op: Op) -> list[Tensor | None]:
        """The inputs of an operator; None for one that is left out."""
        return [self.tensors[key] if key >= 0 else None for key in op.inputs]

    def outs(self, op: Op) -> list[Tensor]:
        """The outputs of an operator."""
        return [self.tensors[key] for key in op.outputs]

    def name_of(self, op: Op) -> str:
        """What people call an operator: the name of its first output."""
        return self.tensors[op.outputs[0]].name if op.outputs else f"{op.kind} {op.index}"
