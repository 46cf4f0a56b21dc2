"""Times per operator from the profiler's events: only what is inside of an operator's mark counts."""

import dataclasses

import pytest
import torch

from profiles.runner import LayerCounters
from targets.pytorch.layers import _times, executed, profile_layers
from targets.pytorch.place import CPU, CUDA
from targets.pytorch.program import load_program


@dataclasses.dataclass
class Event:
    name: str
    cpu_time_total: float = 0.0
    device_time_total: float = 0.0
    cpu_children: tuple = ()


def test_python_around_an_operator_is_not_counted():
    inside = (Event("aten::conv2d", 30.0, 8.0), Event("aten::to", 2.0, 1.0))
    events = [Event("conv", 90.0, 9.0, inside), Event("aten::conv2d", 30.0), Event("conv", 80.0, 9.0, inside[:1])]
    assert _times(events, {"conv"}, CPU)["conv"] == pytest.approx([32e-6, 30e-6]), "the operators alone"
    assert _times(events, {"conv"}, CUDA)["conv"] == pytest.approx([9e-6, 8e-6]), "on a GPU their kernels"


def test_a_mark_without_operators_has_no_row():
    assert _times([Event("getitem", 5.0)], {"getitem"}, CPU) == {}


def test_compute_layers_are_counted_by_precision():
    rows = [LayerCounters("a", "conv2d", {}, "bf16"), LayerCounters("b", "relu", {}, "bf16")]
    assert executed([*rows, LayerCounters("c", "linear", {}, "fp32")]) == {"bf16": 1, "fp32": 1}


def test_rows_come_in_order_of_execution_and_slow_programs_run_fewer_times(model, sample):
    module = load_program(model.pt2)
    tensors = [torch.from_numpy(values) for values in sample.values()]
    with torch.inference_mode():
        rows = profile_layers(module, tensors, CPU, latency=1.0)
    names = [row.name for row in rows]
    assert names.index("stem/conv2d") < names.index("norm/batch_norm") < names.index("fc/linear")
    assert "median of 2 runs" in rows[0].metrics["latency_p50"].method
