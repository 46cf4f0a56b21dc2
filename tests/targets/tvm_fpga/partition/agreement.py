"""A graph's partition against the float reference, in steps of the last bit of its outputs."""

import dataclasses

import numpy as np
import qdq

from targets.tvm_fpga.compiler.compile import compile_region, golden, run_program
from targets.tvm_fpga.compiler.reference import run_region
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.load import import_onnx
from targets.tvm_fpga.partition.partition import partition

SMALL = Geometry(lanes=8)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Differences in steps of the output's scale, of all numbers compared."""

    steps: np.ndarray

    @property
    def largest(self):
        return int(np.abs(self.steps).max())

    @property
    def share(self):
        """Of numbers that differ at all."""
        return float(np.mean(self.steps != 0))


def split(graph, geometry=SMALL):
    return partition(import_onnx(graph.model(), "test"), geometry)


def only_region(graph, geometry=SMALL):
    found = split(graph, geometry)
    assert len(found.regions) == 1, (
        f"wanted one region, seen: {[each.reason or each.name for each in found.split.operators]}"
    )
    return found.regions[0].region


def stored(tensor, value):
    """A real value of shape (1, C, H, W) or (1, C) as the accelerator's int8."""
    moved = value[0].transpose(1, 2, 0) if value.ndim == 4 else value.reshape(1, 1, -1)
    return np.clip(np.rint(moved / np.float32(tensor.scale)) + tensor.zero, -128, 127).astype(np.int8)


def compare(graph, samples=None, *, machine=True):
    """A graph that is one region from its inputs to its outputs; the golden machine must equal the layers."""
    samples = samples or graph.samples()
    region = only_region(graph)
    program = compile_region(region, SMALL) if machine else None
    steps, wanted_all = [], []
    for sample, wanted in zip(samples, qdq.reference(graph.model(), samples), strict=True):
        inputs = {
            tensor.name: stored(tensor, value) for tensor, value in zip(region.sources, sample.values(), strict=True)
        }
        found = run_region(region, inputs)
        if program is not None:
            exact, _ = run_program(program, inputs, golden)
            for name, value in found.items():
                assert np.array_equal(exact[name], value), f"the machine's '{name}' differs from the layers' definition"
        for tensor, value in zip(region.outs, wanted, strict=True):
            expected = stored(tensor, value).astype(int)
            wanted_all.append(expected.reshape(-1))
            steps.append((found[tensor.name].astype(int) - expected).reshape(-1))
    assert np.concatenate(wanted_all).std() > 2, "the reference hardly varies: the test would see nothing"
    return Agreement(np.concatenate(steps))


def assert_close(graph, **more):
    seen = compare(graph, **more)
    assert seen.largest <= 1, f"differs by {seen.largest} steps of the last bit from the float reference"
    assert seen.share < 0.02, f"{seen.share:.1%} of the numbers differ from the float reference"
