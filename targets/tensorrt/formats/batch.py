"""The same graph for another batch size: shapes that hold the batch are rewritten, and the result is proven by a run.

Nothing in an ONNX file says which of its numbers mean the batch. The leading axis of the inputs does; from there the
batch is expected in front of every shape constant. Where a model keeps it elsewhere, the proof fails, and the model is
refused: a graph that mixes samples would still compile, and be fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from profiles.errors import ToolCrashError, UnsupportedError
from profiles.runner import Array, Arrays
from targets.onnx_tools import constant_values, onnx_package, real_inputs, weights
from targets.tensorrt.formats.batch_proof import differing_outputs, make_samples, parting_node
from targets.tensorrt.formats.node_order import in_order

#: Operators with a shape among their inputs, and which input it is.
_SHAPES = {"Reshape": 1, "Expand": 1, "Resize": 3}
#: Recurrent operators, and which of their inputs have a row per sample: lengths (batch,), states (ways, batch, n).
_STATES: Mapping[str, tuple[int, ...]] = {"LSTM": (4, 5, 6), "GRU": (4, 5), "RNN": (4, 5)}


def with_batch(model: Any, batch: int, samples: Sequence[Arrays] = ()) -> Any:
    """A copy of the model that takes and gives ``batch`` samples at a time instead of one batch of its own.

    Proven before it is returned: for random inputs, or the ``samples`` given, the outputs of the batch are the outputs
    of the model itself, stacked.

    Args:
        model: a ``ModelProto`` with fixed shapes; stays as it is.
        batch: samples per inference, a multiple of the model's own batch.
        samples: inputs by name, of the model's own shapes, to prove it with; random ones are made up to ``batch``.

    Raises:
        UnsupportedError: the batch is not the leading axis of all inputs and outputs, or the model mixes the samples of
            a batch; names the node where they part.
    """
    own = own_batch(model)
    if batch == own:
        copy = onnx_package().ModelProto()
        copy.CopyFrom(model)
        return copy
    if batch < 1 or batch % own:
        raise _refuse(batch, f"a model made for batches of {own}", f"multiples of {own}")
    rewritten = _rewritten(model, own, batch)
    _prove(model, rewritten, own, batch, samples)
    return rewritten


def _rewritten(model: Any, own: int, batch: int) -> Any:
    """A copy with the batch in its inputs, outputs and constants, and all shapes inferred anew."""
    copy = onnx_package().ModelProto()
    copy.CopyFrom(model)
    for value in (*real_inputs(copy.graph), *copy.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    in_order(copy.graph)
    _rewrite_constants(copy, own, batch)
    del copy.graph.value_info[:]
    return _infer(copy, batch)


def _prove(model: Any, rewritten: Any, own: int, batch: int, samples: Sequence[Arrays]) -> None:
    """Refuse a graph whose outputs for the batch are not those of the model for its samples."""
    inputs = make_samples(model, batch // own, samples)
    try:
        wrong, telling = differing_outputs(model, rewritten, inputs)
        node = ""
        if wrong or not telling:
            pair = rewritten if batch == 2 * own else _rewritten(model, own, 2 * own)
            node = parting_node(model, pair, inputs[:2])
    except ToolCrashError as error:
        raise _refuse(batch, f"a graph that does not run: {error.seen}", "models that keep samples apart") from error
    if wrong or node:
        where = f" at {node}" if node else ""
        outputs = f"the outputs {', '.join(wrong)} are not" if wrong else "the tensors in between are not"
        raise _refuse(
            batch, f"samples that part{where}: {outputs} those of single samples", "models that keep samples apart"
        )


def own_batch(model: Any) -> int:
    """The batch size that the model was made for: the leading axis that all its inputs and outputs share.

    Raises:
        UnsupportedError: they do not share one.
    """
    ends = [*real_inputs(model.graph), *model.graph.output]
    leading = {value.name: next((d.dim_value for d in value.type.tensor_type.shape.dim), 0) for value in ends}
    sizes = set(leading.values())
    if len(sizes) != 1 or 0 in sizes:
        seen = ", ".join(f"{size or 'none'} of '{name}'" for name, size in leading.items())
        raise UnsupportedError(
            "wanted the batch as leading axis of all inputs and outputs",
            seen=f"leading axes {seen}",
            allowed="one fixed size for all",
            next_step="set batches = [1] under this [[device]]",
        )
    return int(sizes.pop())


def _refuse(batch: int, seen: str, allowed: str) -> UnsupportedError:
    return UnsupportedError(
        f"wanted the model for batches of {batch}",
        seen=seen,
        allowed=allowed,
        next_step="leave this size out of batches under this [[device]], or export the model with that batch",
    )


def _rewrite_constants(model: Any, own: int, batch: int) -> None:
    """Every constant that holds the batch, for each node that reads it."""
    constants = dict(weights(model))
    fed = _depends_on_inputs(model)
    for node in model.graph.node:
        if not any(name in fed for name in node.input):
            continue
        for position, name in enumerate(node.input):
            if name in constants:
                values = constant_values(constants[name])
                changed = _for_batch(node, position, values, own, batch)
                if changed is not None:
                    node.input[position] = _add(model, f"{name}/batch{batch}", changed)


def _depends_on_inputs(model: Any) -> set[str]:
    """Names of all tensors that are computed from the inputs."""
    fed = {value.name for value in real_inputs(model.graph)}
    for node in model.graph.node:
        if any(name in fed for name in node.input):
            fed.update(node.output)
    return fed


def _for_batch(node: Any, position: int, values: Array, own: int, batch: int) -> Array | None:
    """A node's constant input for the new batch; None where it stays."""
    if _SHAPES.get(node.op_type) == position:
        return _new_shape(values, own, batch)
    rows = 1 if values.ndim == 3 else 0
    if position in _STATES.get(node.op_type, ()) and values.ndim and values.shape[rows] == own:
        return np.concatenate([values] * (batch // own), axis=rows)
    if node.op_type == "Concat" and _axis(node, values.ndim) != 0 and values.ndim and values.shape[0] == own:
        return np.concatenate([values] * (batch // own), axis=0)
    return None


def _new_shape(values: Array, own: int, batch: int) -> Array | None:
    """A shape for the new batch: its leading axis, or the only one of that size; None where 0 or -1 stand for it."""
    if values.dtype != np.int64 or values.ndim != 1 or not (values == own).any():
        return None
    position = int(np.flatnonzero(values == own)[0])
    if position and ((values <= 0).any() or np.count_nonzero(values == own) > 1):
        return None
    changed = values.copy()
    changed[position] = batch
    return changed


def _axis(node: Any, rank: int) -> int:
    axis = next((int(given.i) for given in node.attribute if given.name == "axis"), 0)
    return axis + rank if axis < 0 else axis


def _add(model: Any, name: str, values: Array) -> str:
    """A new initializer of that name, once."""
    if all(tensor.name != name for tensor in model.graph.initializer):
        model.graph.initializer.append(onnx_package().numpy_helper.from_array(values, name))
    return name


def _infer(model: Any, batch: int) -> Any:
    """All shapes anew.

    Raises:
        UnsupportedError: a node's shapes no longer fit; named.
    """
    inference = onnx_package().shape_inference
    try:
        return inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except inference.InferenceError as error:
        said = " ".join(str(error).split())
        raise _refuse(
            batch, f"shapes that do not fit: {said[:300]}", "models whose batch is the leading axis"
        ) from error
