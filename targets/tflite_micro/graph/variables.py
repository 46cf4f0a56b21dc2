"""State that outlives an inference: resource variables and variable tensors, as tensors with ``variable=True``.

A file keeps state in one of two forms: variable tensors (an LSTM's), which an operator reads and writes, or
resources (``VAR_HANDLE``), which ``READ_VARIABLE`` and ``ASSIGN_VARIABLE`` copy, and which a graph of their own
fills before the first inference (``CALL_ONCE``). After :func:`resolve` a resource is a tensor, its reads are gone where
nothing has changed it by the time the value is used, and what remains to be copied is a ``COPY`` operator
(one input, one output). :func:`write_through` then removes the copies whose input can be computed in place.

State of type int8 that the file gives no value begins as zero, the real number: its zero point (as LiteRT and
TFLM reset variable tensors, and as TFLM begins resources; LiteRT refuses to read a resource before it is assigned).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Op, Tensor
from targets.tflite_micro.graph.read import Model

_ACCESS = {"READ_VARIABLE", "ASSIGN_VARIABLE"}
#: Operators whose output may become the same memory as their input.
_ALIASES = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "COPY"}


def resolve(model: Model) -> Graph:
    """The main graph without resources.

    Raises:
        UnsupportedError: a resource is used in a way that cannot be followed; the message names it.
    """
    graph = model.main
    handles = _handles(graph)
    first = _first_values(model)
    variables = _variables(graph, handles, first)
    tensors = {key: _begin(tensor) for key, tensor in graph.tensors.items() if key not in handles}
    tensors |= {tensor.index: tensor for tensor in variables.values()}
    of_handle = {key: variables[name].index for key, name in handles.items() if name in variables}
    ops, renamed = _without_resources(graph, of_handle)
    outputs = tuple(renamed.get(key, key) for key in graph.outputs)
    return dataclasses.replace(graph, tensors=tensors, ops=_numbered(ops), outputs=outputs)


def write_through(graph: Graph) -> Graph:
    """Let operators write a variable themselves where a ``COPY`` only moves their output there.

    This holds when the output has one writer and one ``COPY``, and nobody asks for the old value of the variable
    from that operator on. Call it last: a pass that renames tensors must not see the result.
    """
    for copy in [op for op in graph.ops if op.kind == "COPY" and graph.tensor(op.outputs[0]).variable]:
        if _may_write_through(copy, graph):
            graph = _renamed(graph, copy)
    return dataclasses.replace(graph, ops=_numbered(graph.ops))


def _handles(graph: Graph) -> dict[int, str]:
    """Handle tensor to the name of its resource; handles are read where they belong, and nowhere else."""
    found: dict[int, str] = {}
    for op in graph.ops:
        if op.kind == "VAR_HANDLE":
            found[op.outputs[0]] = f"{op.options.get('container') or ''}/{op.options.get('shared_name') or ''}"
    for op in graph.ops:
        for place, key in enumerate(op.inputs):
            wanted = op.kind in _ACCESS and place == 0
            if key >= 0 and ((key in found) != wanted or (graph.tensor(key).dtype == "resource") != wanted):
                raise _refusal(
                    f"{op.kind} of '{graph.tensor(key).name}'", "handles as first inputs of reads and assignments"
                )
    if not found.keys().isdisjoint(graph.outputs):
        raise _refusal("a handle as an output of the graph", "its value")
    return found


def _first_values(model: Model) -> dict[str, Array]:
    """What the graphs that run once assign to each resource."""
    values: dict[str, Array] = {}
    touched = False
    for op in model.main.ops:
        touched = touched or op.kind in _ACCESS
        if op.kind == "CALL_ONCE":
            if touched:
                raise _refusal("CALL_ONCE after state was read or assigned", "CALL_ONCE before anything else")
            values |= _assigned(_called(model, op))
    return values


def _called(model: Model, op: Op) -> Graph:
    number = int(op.options.get("init_subgraph_index", 0))
    if not 1 <= number <= len(model.others):
        raise _refusal(f"CALL_ONCE of graph {number}", f"graphs 1 to {len(model.others)}")
    return model.others[number - 1]


def _assigned(graph: Graph) -> dict[str, Array]:
    """The constants that an initialisation graph assigns."""
    handles = _handles(graph)
    values: dict[str, Array] = {}
    for op in graph.ops:
        if op.kind == "VAR_HANDLE":
            continue
        source = graph.tensor(op.inputs[1]) if op.kind == "ASSIGN_VARIABLE" else None
        if source is None or source.data is None:
            raise _refusal(f"{op.kind} in the graph that fills the state", "assignments of constants")
        values[handles[op.inputs[0]]] = source.data
    return values


def _variables(graph: Graph, handles: Mapping[int, str], first: Mapping[str, Array]) -> dict[str, Tensor]:
    """One tensor per resource that the graph reads or assigns; all its values must have one shape and type."""
    made: dict[str, Tensor] = {}
    for op in graph.ops:
        if op.kind not in _ACCESS:
            continue
        name = handles[op.inputs[0]]
        value = graph.tensor(op.outputs[0] if op.kind == "READ_VARIABLE" else op.inputs[1])
        known = made.get(name)
        if value.dtype not in ITEM_BYTES or 0 in value.shape:
            raise _refusal(f"resource '{name}' as {value.dtype} {value.shape}", f"{', '.join(ITEM_BYTES)}, not empty")
        if known is None:
            made[name] = _variable(value, name, max(graph.tensors) + 1 + len(made), first.get(name))
        elif (known.shape, known.dtype, known.quantization) != (value.shape, value.dtype, value.quantization):
            raise _refusal(
                f"resource '{name}' as {value.dtype} {value.shape}", f"{known.dtype} {known.shape} throughout"
            )
    return made


def _variable(like: Tensor, name: str, index: int, first: Array | None) -> Tensor:
    if first is not None and (first.shape, first.dtype.name) != (like.shape, like.dtype):
        raise _refusal(f"resource '{name}' begins as {first.dtype} {first.shape}", f"{like.dtype} {like.shape}")
    return _begin(dataclasses.replace(like, index=index, name=name.strip("/"), data=first, variable=True))


def _begin(tensor: Tensor) -> Tensor:
    """A variable without a first value gets its zero point."""
    if not tensor.variable or tensor.data is not None or tensor.dtype != "int8" or tensor.quantization is None:
        return tensor
    return dataclasses.replace(tensor, data=np.full(tensor.shape, tensor.zero_point, np.int8))


def _without_resources(graph: Graph, of_handle: Mapping[int, int]) -> tuple[list[Op], dict[int, int]]:
    """Operators with reads as other names of the variable, or as copies of it, and assignments as copies to it."""
    ops: list[Op] = []
    renamed: dict[int, int] = {}
    for place, op in enumerate(graph.ops):
        if op.kind in ("VAR_HANDLE", "CALL_ONCE"):
            continue
        inputs = tuple(renamed.get(key, key) for key in op.inputs)
        if op.kind == "READ_VARIABLE":
            variable = of_handle[op.inputs[0]]
            if _is_stable(graph, place, of_handle):
                renamed[op.outputs[0]] = variable
            else:
                ops.append(Op(0, "COPY", (variable,), op.outputs))
        elif op.kind == "ASSIGN_VARIABLE":
            if inputs[1] != of_handle[op.inputs[0]]:  # else the value that it has
                ops.append(Op(0, "COPY", (inputs[1],), (of_handle[op.inputs[0]],)))
        else:
            ops.append(dataclasses.replace(op, inputs=inputs))
    return ops, renamed


def _is_stable(graph: Graph, place: int, of_handle: Mapping[int, int]) -> bool:
    """Whether what the read at ``place`` gives is used before the variable is next assigned."""
    read = graph.ops[place]
    variable, value = of_handle[read.inputs[0]], read.outputs[0]
    later = graph.ops[place + 1 :]
    writes = [n for n, op in enumerate(later) if op.kind == "ASSIGN_VARIABLE" and of_handle[op.inputs[0]] == variable]
    if not writes:
        return True
    return value not in graph.outputs and not _uses(value, later[writes[0] + 1 :])


def _uses(key: int, ops: Iterable[Op]) -> bool:
    return any(key in op.inputs for op in ops)


def _may_write_through(copy: Op, graph: Graph) -> bool:
    (value,), (variable,) = copy.inputs, copy.outputs
    writers = [place for place, op in enumerate(graph.ops) if value in op.outputs]
    one, other = graph.tensor(value), graph.tensor(variable)
    if len(writers) != 1 or value in graph.outputs or one.quantization != other.quantization or one.variable:
        return False
    if graph.ops[writers[0]].kind in _ALIASES or sum(value in op.inputs for op in graph.ops if op.kind == "COPY") > 1:
        return False
    until = graph.ops.index(copy)
    old = any(variable in (*op.inputs, *op.outputs) for op in graph.ops[writers[0] : until])
    rewritten = any(variable in op.outputs for op in graph.ops[until + 1 :])
    return not old and not (rewritten and _uses(value, graph.ops[until + 1 :]))


def _renamed(graph: Graph, copy: Op) -> Graph:
    (value,), (variable,) = copy.inputs, copy.outputs
    names = {value: variable}
    ops = tuple(
        dataclasses.replace(
            op, inputs=tuple(names.get(k, k) for k in op.inputs), outputs=tuple(names.get(k, k) for k in op.outputs)
        )
        for op in graph.ops
        if op is not copy
    )
    tensors = {key: tensor for key, tensor in graph.tensors.items() if key != value}
    return dataclasses.replace(graph, ops=ops, tensors=tensors)


def _numbered(ops: Iterable[Op]) -> tuple[Op, ...]:
    return tuple(dataclasses.replace(op, index=index) for index, op in enumerate(ops))


def _refusal(seen: str, allowed: str) -> UnsupportedError:
    return UnsupportedError(
        "wanted to keep the model's state in memory of its own", seen=seen, allowed=allowed,
        next_step="export the model with its state as plain inputs and outputs",
    )  # fmt: skip
