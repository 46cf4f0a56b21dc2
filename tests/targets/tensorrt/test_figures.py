"""Figures of schedules made by hand."""

import dataclasses

import pytest

from profiles.errors import VerificationError
from profiles.measurement import Kind
from targets.tensorrt.compiler.schedule import Kernel, Schedule, Tensor
from targets.tensorrt.compiler.schedule_file import load_schedules, save_schedules
from targets.tensorrt.figures import of_schedule
from targets.tensorrt.plan import SCHEDULE

X = Tensor("x", "fp32", (1, 3, 4, 4), 192)
Q = Tensor("q", "int8", (1, 3, 4, 4), 48)
W = Tensor("w", "int8", (8, 3, 1, 1), 24, constant=True)
C = Tensor("c", "fp32", (1, 8, 4, 4), 512)
R = Tensor("r", "int8", (1, 8, 4, 4), 128)
Y = Tensor("y", "fp32", (1, 10), 40)
SCHEDULE_8 = Schedule(
    (
        Kernel("quantize", "generated", ("x_q",), (X,), (Q,), ("QuantizeLinear",)),
        Kernel("c1", "convolution", ("relu", "conv"), (Q, W, W), (C,), ("Relu", "Conv")),
        Kernel("requantize", "generated", ("conv", "r_q"), (C,), (R,), ("Conv", "QuantizeLinear")),
        Kernel("fc", "generated", ("fc",), (R,), (Y,), ("Gemm",)),
        Kernel("copy", "memory", (), (Y,), (Y,)),
    ),
    device_memory=8192,
    weights=24,
    capabilities=("8.6", "12.0"),
    library="TensorRT-RTX 1.7",
)


def figures(folder, schedules, notes=()):
    save_schedules(folder, schedules, dict.fromkeys(schedules, notes))
    return of_schedule(folder)


def test_figures_by_hand(tmp_path):
    counters = figures(tmp_path, {1: SCHEDULE_8}, ("odd layer",))
    moved = [192 + 48, 48 + 24 + 512, 512 + 128, 128 + 40, 40]
    assert {name: metric.value for name, metric in counters.metrics.items()} == {
        "kernels": 5,
        "dram_bytes": sum(moved),
        "context_memory": 8192,
    }
    for metric in counters.metrics.values():
        assert metric.kind is Kind.ESTIMATED, "nothing was run"
        assert metric.method.endswith("planned by TensorRT-RTX 1.7 for SM86, SM120")
    assert [row.metrics["dram_bytes"].value for row in counters.layers] == moved
    assert [row.name for row in counters.layers] == ["x_q", "conv", "r_q", "fc", "copy"]
    assert [row.precision for row in counters.layers] == ["fp32", "int8", "fp32", "fp32", "fp32"]
    assert counters.executed == {"int8": 1, "fp32": 1}, "the convolution, and the product that the compiler wrote"
    assert counters.facts["conversions"].startswith("3 of 5 kernels")
    assert counters.facts["requantization kernels"].startswith("2 of 5 kernels")
    assert counters.facts["compiler's warnings"] == "odd layer"
    assert counters.batches == ()


def test_every_batch_size_has_figures_and_the_models_own_is_first(tmp_path):
    four = dataclasses.replace(SCHEDULE_8, kernels=SCHEDULE_8.kernels[:2], device_memory=32768)
    counters = figures(tmp_path, {1: SCHEDULE_8, 4: four})
    assert counters.metrics["kernels"].value == 5
    assert [(point.batch, point.metrics["kernels"].value) for point in counters.batches] == [(1, 5), (4, 2)]


def test_where_the_device_compiles_nothing_is_known(tmp_path):
    counters = of_schedule(tmp_path)
    assert {metric.kind for metric in counters.metrics.values()} == {Kind.UNAVAILABLE}
    assert "device compiles" in counters.metrics["kernels"].reason


def test_a_schedule_that_was_not_read_says_why(tmp_path):
    counters = figures(tmp_path, {1: Schedule(reason="no text in it")})
    assert counters.metrics["dram_bytes"].reason == "no text in it"
    assert counters.layers == ()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "schedules": [{"batch": 1}]}'])
def test_a_damaged_file_is_an_error(tmp_path, content):
    (tmp_path / SCHEDULE).write_text(content)
    with pytest.raises(VerificationError, match=SCHEDULE):
        of_schedule(tmp_path)


def test_what_is_saved_is_loaded(tmp_path):
    save_schedules(tmp_path, {2: SCHEDULE_8}, {2: ["a"]})
    planned = load_schedules(tmp_path)
    assert (dict(planned.schedules), dict(planned.notes)) == ({2: SCHEDULE_8}, {2: ("a",)})
