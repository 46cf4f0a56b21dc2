"""A ``.pt2`` program as plain PyTorch: tensors in, a tuple of tensors out, no more overhead than the module had.

``torch.export`` calls operators as ``torch.ops.aten.conv2d.default``, whose way through the dispatcher is slower than
that of ``torch.conv2d``, and wraps the whole into functions that unpack nested inputs. On the small networks of MLPerf
Tiny that is 15 to 30 % of an inference, which a baseline must not be charged with. So the operators that have the same
function in ``torch`` are called through it, and the wrapping goes. Travels to the device.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

from profiles.errors import ModelError
from targets.pytorch.place import CPU
from targets.pytorch.trust import check_trust

#: Operators whose functions in ``torch`` and ``torch._C._nn`` are made from the same declaration.
PLAIN = frozenset(
    [
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "linear", "matmul", "bmm", "addmm"),
        *("batch_norm", "layer_norm", "group_norm", "instance_norm", "embedding"),
        *("relu", "hardtanh", "relu6", "leaky_relu", "prelu", "elu", "gelu", "silu", "mish"),
        *("sigmoid", "tanh", "hardsigmoid", "hardswish", "softmax", "log_softmax", "glu", "clamp"),
        *("add", "sub", "mul", "div", "abs", "exp", "sqrt", "rsqrt", "pow", "cat", "mean", "sum", "amax"),
        *("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d"),
        *("flatten", "transpose", "permute", "reshape", "unsqueeze", "squeeze", "select", "dropout", "pad"),
        *("lstm", "gru", "scaled_dot_product_attention"),
    ]
)
#: Operators with arithmetic in which a network's time goes.
COMPUTE = frozenset(
    [
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear"),
        *("matmul", "bmm", "mm", "addmm", "baddbmm", "einsum", "lstm", "gru", "rnn_tanh", "rnn_relu"),
        "scaled_dot_product_attention",
    ]
)
_CHECKS = ("_assert_tensor_metadata", "_assert_async", "_assert_scalar")


def load_program(path: Path, place: str = CPU) -> Any:
    """The program's module, on ``place``.

    Returns:
        a ``torch.fx.GraphModule``; its ``forward`` takes the inputs in order and returns a tuple of all outputs.

    Raises:
        ModelError: not a program of ``torch.export``, damaged, or with more in it than tensors and operators.
    """
    check_trust(path)
    try:
        program = torch.export.load(path)
    except Exception as error:  # a damaged archive fails in any layer below torch.export
        lines = str(error).strip().splitlines()
        raise ModelError(
            f"wanted a program of torch.export in {path.name}",
            seen=lines[0] if lines else type(error).__name__,
            next_step="build the bundle again, with the version of torch that runs it",
        ) from error
    if place != CPU:
        program = move_to_device_pass(program, place)
    return plain(program.module(check_guards=False))


def plain(module: Any) -> Any:
    """The same module without checks and wrapping, operators called through ``torch`` where that is the same."""
    for node in list(module.graph.nodes):
        if operator(node) in _CHECKS:
            module.graph.erase_node(node)
        elif operator(node) in PLAIN:
            node.target = _function(operator(node)) or node.target
    module.graph.set_codegen(torch.fx.graph.CodeGen())
    module.recompile()
    return module


def _function(name: str) -> Any:
    return getattr(torch._C._nn, name, None) or getattr(torch._C._VariableFunctions, name, None)


def operator(node: Any) -> str:
    """``conv2d`` for a call of that operator; empty for anything else in a program's graph."""
    if node.op != "call_function":
        return ""
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target._schema.name.partition("::")[2])
    name = str(getattr(node.target, "__name__", ""))
    return name if name in PLAIN else ""


def layer_names(module: Any) -> dict[str, str]:
    """Node name to ``blocks.0.conv/conv2d``: the layer that the operator came from, and the operator."""
    names: dict[str, str] = {}
    for node in module.graph.nodes:
        if kind := operator(node):
            names[node.name] = _unique(f"{_scope(node)}/{kind}".lstrip("/"), set(names.values()))
    return names


def _scope(node: Any) -> str:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def _unique(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
