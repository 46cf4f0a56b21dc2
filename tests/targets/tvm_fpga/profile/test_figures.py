"""The figures of a profile: per layer they add up to the whole, and each has the right kind."""

import dataclasses
import json

import pytest

from profiles.device import load_device
from profiles.measurement import METRIC_UNITS, Kind
from targets.artifact import TIMELINE
from targets.base import Compiled
from targets.tvm_fpga.compiler.compile import compile_region, run_program, simulated
from targets.tvm_fpga.device import geometry_of, memory_of
from targets.tvm_fpga.figures import of_runs
from tests.targets.tvm_fpga.networks import dscnn, random_inputs

ADD_UP = ("cycles", "cycles_compute", "cycles_load", "cycles_store", "cycles_stall", "bytes_loaded", "bytes_stored")


@pytest.fixture(scope="module")
def counters(usual_array):
    geometry, simulator = usual_array
    nominal = load_device("fpga-sim-16x16")
    device = dataclasses.replace(nominal, parameters={**nominal.parameters, "lanes": geometry.lanes})
    assert geometry_of(device) == geometry
    region = dscnn()
    program = compile_region(region, geometry, proven=False)
    _, run = run_program(program, random_inputs(region), simulated(simulator, memory_of(device)))
    rows = [{"name": layer.name, "op": layer.kind.value, "macs": layer.macs} for layer in region.layers]
    macs = {"accelerator": sum(row["macs"] for row in rows), "host": 0}
    options = {"layers": {"r": rows}, "macs": macs, "host_operators": [], "weights": 1, "image": len(program.image)}
    return of_runs(Compiled((), (), (), options), device, {"r": program}, {"r": run})


def test_layers_add_up_to_the_whole(counters):
    for name in ADD_UP:
        total = sum(layer.metrics[name].value for layer in counters.layers)
        assert total == counters.metrics[name].value, f"layers have {total} of '{name}' together"
    whole = {name: metric.value for name, metric in counters.metrics.items()}
    assert whole["cycles"] == sum(whole[name] for name in ADD_UP if name.startswith("cycles_"))
    assert whole["dram_bytes"] == whole["bytes_loaded"] + whole["bytes_stored"] + whole["bytes_program"]
    for layer in counters.layers:
        mine = {name: metric.value for name, metric in layer.metrics.items()}
        assert mine["cycles"] == sum(mine[name] for name in ADD_UP if name.startswith("cycles_")), layer.name
        assert mine["dram_bytes"] == mine["bytes_loaded"] + mine["bytes_stored"], layer.name
        assert 0 <= mine["utilization"] <= 1
    used = sum(layer.metrics["macs"].value for layer in counters.layers) / (64 * whole["cycles"])
    assert counters.metrics["utilization"].value == pytest.approx(used)


def test_kinds_are_told_apart(counters):
    kinds = {name: metric.kind for name, metric in counters.metrics.items()}
    assert kinds["latency_p50"] is Kind.ESTIMATED, "cycles were simulated, the clock is an assumption"
    assert {kinds[name] for name in (*ADD_UP, "dram_bytes", "utilization")} == {Kind.SIMULATED}
    for name in ("latency_p90", "latency_p99", "cpu_time_p50", "peak_memory"):
        assert kinds[name] is Kind.UNAVAILABLE and counters.metrics[name].reason, f"{name} of a simulation is nonsense"
    assert all(metric.unit == METRIC_UNITS[name] for name, metric in counters.metrics.items())
    assert counters.metrics["latency_p50"].value == counters.metrics["cycles"].value / 100e6


def test_the_timeline_is_of_the_same_run(counters):
    trace = json.loads(counters.files[TIMELINE])
    assert trace["otherData"]["cycles"] == counters.metrics["cycles"].value
    end = max(event["ts"] + event["dur"] for event in trace["traceEvents"] if event["ph"] == "X")
    assert end == pytest.approx(1e6 * counters.metrics["latency_p50"].value)
