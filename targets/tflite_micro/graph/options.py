"""The options table of any builtin operator as a dictionary, by reflection over the schema's object API."""

from __future__ import annotations

import functools
import math
import re
import struct
from typing import Any

import numpy as np

from targets.tflite_micro.graph.verify import Malformed

#: Option fields that hold an enumeration of the schema.
_ENUMS = {
    "padding": "Padding",
    "fused_activation_function": "ActivationFunctionType",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
    "mode": "MirrorPadMode",
    "kernel_type": "LSTMKernelType",
    "combiner": "CombinerType",
    "type": "LSHProjectionType",
    **dict.fromkeys(
        ("in_data_type", "out_data_type", "out_type", "output_type", "idx_out_type", "quantized_bias_type"),
        "TensorType",
    ),
    **dict.fromkeys(("key_dtype", "value_dtype"), "TensorType"),
}
#: Operators whose options table is not called after them.
_TABLES = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2DOptions"),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "MaximumMinimumOptions"),
    **dict.fromkeys(
        ("MEAN", "SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ANY", "REDUCE_ALL"), "ReducerOptions"
    ),
}
#: The longest vector or string that an option may hold.
_MAX_ITEMS = 4096


def read_options(operator: Any, kind: str, schema: Any) -> dict[str, Any]:
    """Options of an ``Operator`` of the schema: snake-case names, enumerations as lower-case names.

    An operator without a table has the schema's defaults; one without options has none.

    Raises:
        Malformed: a table of another operator's options, or one that cannot be read.
    """
    names = enum_names(schema, "BuiltinOptions")
    number = operator.BuiltinOptionsType()
    table = names.get(number, f"options type {number}")
    wanted = _table_of(schema, kind)
    if wanted and number and table != wanted:
        raise Malformed(f"a {kind} has {table} instead of {wanted}")
    name = wanted or (table if number in names and number else "")
    if not name:
        return {}
    made = getattr(schema, name + "T")()
    found = operator.BuiltinOptions() if number else None
    if found is not None:
        try:
            made = type(made).InitFromBuf(found.Bytes, found.Pos)
        except (ValueError, TypeError, struct.error) as error:
            raise Malformed(f"the options of a {kind} cannot be read: {error}") from error
    fields = {_snake(field): value for field, value in vars(made).items()}
    return {field: _plain(field, value, schema) for field, value in fields.items()}


@functools.cache
def enum_names(schema: Any, enum: str) -> dict[int, str]:
    """Names by value of an enumeration of the schema."""
    return {value: name for name, value in vars(getattr(schema, enum)).items() if isinstance(value, int)}


@functools.cache
def _table_of(schema: Any, kind: str) -> str:
    """Name of the options table of a kind of operator, "" when it has none: ``CONV_2D`` has ``Conv2DOptions``."""
    by_kind = {name.removesuffix("Options").upper(): name for name in enum_names(schema, "BuiltinOptions").values()}
    return _TABLES.get(kind) or by_kind.get(kind.replace("_", ""), "")


@functools.cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _plain(field: str, value: Any, schema: Any) -> Any:
    if isinstance(value, bytes | np.ndarray):
        if len(value) > _MAX_ITEMS:
            raise Malformed(f"the option {field} has {len(value)} items")
        return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else tuple(value.tolist())
    if field in _ENUMS and isinstance(value, int):
        return enum_names(schema, _ENUMS[field]).get(value, f"unknown {value}").lower()
    if isinstance(value, float) and not math.isfinite(value):
        raise Malformed(f"the option {field} is {value}")
    return value if isinstance(value, int | float) else None
