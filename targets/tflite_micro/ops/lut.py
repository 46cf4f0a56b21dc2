"""Functions of one byte as kernel calls: from all 256 results to the kernel that needs the fewest bytes for them."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Const, In, Out, Role, Value
from targets.tflite_micro.graph.ir import Tensor


def every_value(dtype: str = "int8") -> Array:
    """The values of all bytes, 0 to 255, as int8 or uint8 reads them; int64."""
    values: Array = np.arange(256, dtype=np.uint8).view(dtype).astype(np.int64)
    return values


def byte_call(source: Tensor, result: Tensor, values: Array) -> Call:
    """The call that turns byte i of ``source`` into ``values[i]``, which are within the limits of the result's type.

    Limits alone, and the change between int8 and uint8, need no table.
    """
    function, params, sources = _kernel(source, result, values)
    return Call(
        function,
        {**params, "count": result.elements},
        (In(source.index), Out(result.index)),
        overlap={} if source.constant else {source.index: 0},
        elementwise=True,
        sources=sources,
    )


def _kernel(source: Tensor, result: Tensor, values: Array) -> tuple[str, dict[str, Value], tuple[str, ...]]:
    table = values.astype(result.dtype).view(np.int8)
    low, high = int(values.min()), int(values.max())
    limited = np.clip(every_value(source.dtype), low, high)
    if source.dtype == result.dtype == "int8" and np.array_equal(values, limited):
        return "ew_clamp8", {"low": low, "high": high}, ("ew_minmax.c", "ew_broadcast.c")
    if np.array_equal(table.view(np.uint8), np.arange(256) ^ 0x80):
        return "ew_flip", {}, ("ew_quantize.c",)
    return "ew_lut", {"table": Const(table, Role.TABLE, align=1)}, ("ew_lut.c",)
