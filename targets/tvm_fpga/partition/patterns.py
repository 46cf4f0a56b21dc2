"""What the accelerator's operators look like between ``dequantize`` and ``quantize``: one table, best match first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Prefix of composite functions; TVM takes what stands before the dot as the name of the code generator.
BACKEND = "tvm_fpga"
#: Tensors that one concatenation takes.
MOST_PARTS = 4
#: Operator of Relax that stands in the middle, to the kind of composite.
CORES = {
    "relax.nn.conv2d": "conv2d",
    "relax.matmul": "dense",
    "relax.nn.avg_pool2d": "average",
    "relax.mean": "average",
    "relax.nn.max_pool2d": "largest",
    "relax.multiply": "scale",
    "relax.concat": "concat",
    "relax.add": "add",
    "relax.nn.relu": "activation",
    "relax.clip": "activation",
    "relax.dequantize": "requantize",
}
ACTIVATIONS = ("relax.nn.relu", "relax.clip")


def patterns(accepted: Callable[[Any], bool]) -> list[Any]:
    """``FusionPattern`` for ``FuseOpsByPattern``; ``accepted`` gets the context of every match."""
    from tvm.relax.transform import FusionPattern

    return [FusionPattern(f"{BACKEND}.{kind}", _quantized(form), {}, accepted) for kind, form in _forms()]


def _forms() -> list[tuple[str, Any]]:
    from tvm.relax.dpl import is_const, is_op, is_tuple, wildcard

    given = _dequantized(wildcard())
    flat = _dequantized(is_op("relax.reshape")(wildcard(), wildcard()))
    weights = _dequantized(is_const())
    conv = is_op("relax.nn.conv2d")(given, weights)
    dense = is_op("relax.matmul")(flat, weights) | is_op("relax.matmul")(_dequantized(wildcard()), weights)
    concats = [is_op("relax.concat")(is_tuple([_dequantized(wildcard()) for _ in range(n)])) for n in _parts()]
    return [
        ("conv2d", _activated(_biased(conv))),
        ("dense", _activated(_biased(dense))),
        ("average", _activated(is_op("relax.nn.avg_pool2d")(given) | is_op("relax.mean")(given))),
        ("largest", _activated(is_op("relax.nn.max_pool2d")(given))),
        ("scale", _activated(_biased(is_op("relax.multiply")(given, is_const())))),
        *(("concat", _activated(concat)) for concat in concats),
        ("add", _activated(is_op("relax.add")(_dequantized(wildcard()), _dequantized(wildcard())))),
        ("activation", _activation(given)),
        ("requantize", given),
    ]


def _parts() -> range:
    return range(2, MOST_PARTS + 1)


def _dequantized(form: Any) -> Any:
    from tvm.relax.dpl import is_const, is_op

    return is_op("relax.dequantize")(form, is_const(), is_const())


def _quantized(form: Any) -> Any:
    from tvm.relax.dpl import is_const, is_op

    return is_op("relax.quantize")(form, is_const(), is_const())


def _biased(form: Any) -> Any:
    from tvm.relax.dpl import is_const, is_op

    return is_op("relax.add")(form, is_const()) | form


def _activation(form: Any) -> Any:
    from tvm.relax.dpl import is_op, wildcard

    return is_op("relax.nn.relu")(form) | is_op("relax.clip")(form, wildcard(), wildcard())


def _activated(form: Any) -> Any:
    return _activation(form) | form
