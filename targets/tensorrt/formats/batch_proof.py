"""The proof that a graph for a batch computes what the graph for single inputs does, by running both.

The outputs of all samples are compared. When they differ, and when they are no proof because the samples' outputs are
all alike, the tensors in between are compared for two samples: each must hold the two single ones side by side along
some axis. The first that does not is where the samples part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from profiles.runner import Array, Arrays
from targets.onnx_layers import node_name
from targets.onnx_tools import dtype_name, is_quantized, onnx_package, real_inputs, weights
from targets.quiet import in_our_words

#: Largest difference as a share of the largest magnitude: sums in another order, and what rounding makes of that.
_SHARE, _SHARE_ROUNDED = 1e-4, 3e-2
_FETCHED = ("float32", "float16")


def make_samples(model: Any, count: int, given: Sequence[Arrays] = ()) -> list[Arrays]:
    """The first ``count`` of the inputs given, and random ones up to that number: normal floats, zeros and ones."""
    random = np.random.default_rng(0)
    inputs = {
        value.name: (tuple(d.dim_value for d in value.type.tensor_type.shape.dim), value.type.tensor_type.elem_type)
        for value in real_inputs(model.graph)
    }
    samples: list[Arrays] = list(given[:count])
    for _ in range(count - len(samples)):
        samples.append({name: _random(random, shape, dtype_name(kind)) for name, (shape, kind) in inputs.items()})
    return samples


def _random(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    values = random.standard_normal(shape) if "float" in dtype else random.integers(0, 2, shape)
    return np.asarray(values.astype(dtype))


def differing_outputs(single: Any, batched: Any, samples: Sequence[Arrays]) -> tuple[list[str], bool]:
    """Outputs of ``batched`` that are not those of ``single``, stacked; and whether the others prove anything.

    They do when some output differs from sample to sample.
    """
    names = [output.name for output in single.graph.output]
    alone = [_run(single, sample, names) for sample in samples]
    together = _run(batched, _stacked(samples), names)
    share = _share(single)
    wrong = [name for name in names if not _same(np.concatenate([one[name] for one in alone]), together[name], share)]
    return wrong, any(_varied([one[name] for one in alone]) for name in names)


def parting_node(single: Any, pair: Any, samples: Sequence[Arrays]) -> str:
    """The first node whose output for two samples does not hold the two single ones; empty when there is none.

    Args:
        single: the graph for one input.
        pair: the graph for two.
        samples: two inputs.
    """
    inferred = onnx_package().shape_inference.infer_shapes(single).graph
    floats = {
        value.name
        for value in (*inferred.value_info, *inferred.output)
        if dtype_name(value.type.tensor_type.elem_type) in _FETCHED
    }
    nodes = {name: node for node in single.graph.node for name in node.output if name in floats}
    first, second = (_run(single, sample, list(nodes)) for sample in samples)
    both = _run(pair, _stacked(samples), list(nodes))
    share = _share(single)
    for name, node in nodes.items():
        if not _side_by_side(first[name], second[name], both[name], share):
            return f"{node.op_type} '{node_name(node)}'"
    return ""


def _side_by_side(first: Array, second: Array, both: Array, share: float) -> bool:
    """Whether a tensor holds those of both samples along some axis, or is the same for every sample."""
    if _same(first, both, share) and _same(second, both, share):
        return True
    return any(_same(np.concatenate([first, second], axis=axis), both, share) for axis in range(first.ndim))


def _share(model: Any) -> float:
    """The difference allowed; more where activations are rounded to few digits."""
    narrow = any(dtype_name(tensor.data_type) == "float16" for _, tensor in weights(model))
    return _SHARE_ROUNDED if narrow or is_quantized(model) else _SHARE


def _same(wanted: Array, seen: Array, share: float) -> bool:
    """Whether two arrays agree; integers behind rounded arithmetic, such as a class, only in shape."""
    if wanted.shape != seen.shape:
        return False
    if not np.issubdtype(wanted.dtype, np.floating):
        return share > _SHARE or bool(np.array_equal(wanted, seen))
    left, right = wanted.astype(np.float64), seen.astype(np.float64)
    finite = np.isfinite(left)
    if not np.array_equal(left[~finite], right[~finite], equal_nan=True):
        return False
    scale = float(np.max(np.abs(left[finite]), initial=0.0))
    return bool(np.all(np.abs(left[finite] - right[finite]) <= share * scale))


def _varied(outputs: Sequence[Array]) -> bool:
    """Whether an output is a float that differs from each sample to the next."""
    if not np.issubdtype(outputs[0].dtype, np.floating):
        return False
    return all(not np.array_equal(a, b, equal_nan=True) for a, b in itertools.pairwise(outputs))


def _stacked(samples: Sequence[Arrays]) -> dict[str, Array]:
    return {name: np.concatenate([np.asarray(sample[name]) for sample in samples]) for name in samples[0]}


def _run(model: Any, inputs: Arrays, names: list[str]) -> dict[str, Array]:
    """One run as the graph is written, with any of its tensors as outputs."""
    import onnxruntime as ort

    onnx = onnx_package()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {output.name for output in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content, create = copy.SerializeToString(), ort.InferenceSession
    with in_our_words("ONNX Runtime must run the model to prove its batch"):
        session = create(content, options, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
