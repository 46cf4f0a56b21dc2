"""Many small cases in one file, so that they are compiled once; and cases whose input and output overlap.

Tensors lie side by side: the memory planner has tests of its own.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from unittest import mock

import harness
import numpy as np

from targets.tflite_micro.graph.alias import aliases
from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.ops.registry import lower
from targets.tflite_micro.program import Layer, Program

GUARD = 16
for kind in ("DEPTH_TO_SPACE",):
    harness._VERSIONS.setdefault(kind, 1)


def side_by_side(model: bytes, variant="portable") -> Program:
    """The program of a file, with a place of its own for every tensor."""
    graph = harness.graph_of(model)
    roots, calls, offsets, top = aliases(graph), lower(graph, variant), {}, 0
    for key, tensor in graph.tensors.items():
        if not tensor.constant:
            offsets[key], top = top, top + -(-tensor.bytes // 16) * 16 + GUARD
    offsets |= {key: offsets[root] for key, root in roots.items()}
    layers = tuple(Layer((call,), top) for call in calls)
    arena = top + max(call.scratch for call in calls) + GUARD
    return Program(graph, variant, layers, offsets, arena, problem=None, plan=None)


class Many:
    """Independent operators side by side in one graph."""

    def __init__(self):
        self.ops, self.tensors, self.inputs, self.outputs = [], [], [], []

    def add(self, kind, ins, outs, options=None):
        """One operator; tensors of ``ins`` without data become inputs of the graph, ``outs`` its outputs."""
        keys = [self._key(spec) for spec in ins]
        self.inputs += [key for key, spec in zip(keys, ins, strict=True) if spec["data"] is None]
        results = [self._key(spec) for spec in outs]
        self.outputs += results
        self.ops.append((kind, keys, results, options or {}))
        return self

    def _key(self, spec):
        self.tensors.append(spec)
        return len(self.tensors) - 1

    def model(self) -> bytes:
        return harness.tiny(self.ops, self.tensors, self.inputs, self.outputs)

    def check(self, count=8, **words):
        """Assert that all of them equal the reference; a difference names the operator."""
        try:
            with mock.patch.object(harness, "program_of", side_by_side):
                harness.check(self.model(), count, **words)
        except AssertionError as error:
            found = re.search(r"output (\d+):", str(error))
            raise AssertionError(f"{list(self._words())[int(found[1])] if found else ''}: {error}") from error

    def _words(self):
        for kind, keys, results, options in self.ops:
            ins = [self.tensors[key] for key in keys]
            shapes = [spec["shape"] if spec["data"] is None else np.asarray(spec["data"]).tolist() for spec in ins]
            for key in results:
                yield f"{kind} {shapes} -> {self.tensors[key]['shape']} {options}"


def image(shape, scale=0.05, zero_point=-3, **words):
    """An int8 activation."""
    return harness.tensor(shape, "int8", scale, zero_point, **words)


def constant(values, dtype="int32"):
    """A constant operand such as axes."""
    values = np.asarray(values, dtype)
    return harness.tensor(values.shape, dtype, data=values)


def seen(constraint, kind, ins, outs, options=None) -> str:
    """What a constraint says of an operator; inputs and outputs as for :meth:`Many.add`, options in snake case."""
    tensors = {}
    for key, spec in enumerate([*ins, *outs]):
        quantization = None if spec["scale"] is None else Quantization((spec["scale"],), (spec["zero_point"],))
        data = None if spec["data"] is None else np.asarray(spec["data"], spec["dtype"])
        tensors[key] = Tensor(key, f"tensor_{key}", spec["shape"], spec["dtype"], quantization, data)
    keys = tuple(tensors)
    op = Op(0, kind, keys[: len(ins)], keys[len(ins) :], options or {})
    return constraint(op, Graph("test", tensors, (op,), (), ()))


def check_overlap(model: bytes, count=8, shift=0) -> int:
    """Run a one-operator model with the input as close behind the output as its call allows, plus ``shift`` bytes.

    Returns that distance. Asserts that the result is the reference's.
    """
    program = side_by_side(model)
    (call,) = program.calls
    assert not call.scratch
    ((source, ahead),) = call.overlap.items()
    (target,) = program.graph.outputs
    ahead += shift
    offsets = {source: max(ahead, 0), target: max(-ahead, 0)}
    end = max(place + program.graph.tensor(key).bytes for key, place in offsets.items())
    offsets = {key: place + -end % 16 for key, place in offsets.items()}  # the arena ends with the last of them
    placed = dataclasses.replace(program, offsets=offsets, arena=end + -end % 16)
    samples = harness.random_samples(model, count)
    binary = harness._host_binary(placed, "portable", True)
    given = b"".join(values.tobytes() for sample in samples for values in sample)
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([binary, str(count)], input=given, capture_output=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    problem = harness.difference(harness.reference(model, samples), harness._split(placed, done.stdout, count))
    assert not problem, f"with the input {ahead} bytes behind the output: {problem}"
    return ahead
