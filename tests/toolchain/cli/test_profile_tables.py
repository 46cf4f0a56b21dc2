"""What ``edgewright profile`` prints of a GPU: figures in order, batches, clocks and what lowered them."""

from __future__ import annotations

import dataclasses
import re

import pytest

from profiles.gpu import GpuClock, GpuState
from profiles.machine import MachineState
from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from profiles.profiler import Profile
from profiles.runner import BatchPoint, LayerCounters
from toolchain.cli.profile_tables import ORDER, ordered, print_batches, print_gpus, print_layers, print_metrics


def seconds(value: float) -> Metric:
    return Metric(value, "s", Kind.MEASURED, "CUDA events, 200 runs")


def state(**more) -> dict:
    gpu = GpuState(
        "NVIDIA GeForce RTX 4070", driver="580.65", cuda="13.0", compute_capability="8.9",
        clocks=(GpuClock("sm", 2.475e9, None, 3.1e9), GpuClock("memory", 10.5e9, None, 10.5e9)),
        **{"temperature": 54.0, "power_limit": 200.0, **more},
    )  # fmt: skip
    return MachineState("x86_64", power_mode="MAXN", gpus=(gpu,)).as_dict()


def profile(**more) -> Profile:
    machine = {"before": state(), "after": state(throttle_reasons=("power limit",)), "description": "a PC"}
    return Profile({}, (), {}, {}, machine, {}, stable=True, **more)


def told(capsys) -> list[str]:
    return [re.sub(r"\s{2,}", " | ", line.strip()) for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_figures_come_in_the_order_in_which_people_ask_for_them():
    names = ["sqnr", "kernels", "latency_graph_p50", "energy", "latency_events_p50", "unknown", "latency_p50"]
    assert ordered(dict.fromkeys(names)) == [
        "latency_p50", "latency_events_p50", "latency_graph_p50", "energy", "kernels", "sqnr", "unknown",
    ]  # fmt: skip
    assert set(ORDER) <= set(METRIC_UNITS), "a metric of that name does not exist"


def test_a_figure_says_what_it_is_and_how_it_was_obtained(capsys):
    figures = {"latency_events_p50": seconds(1.9e-4), "energy": unavailable("energy", "NVML is not installed")}
    print_metrics(dataclasses.replace(profile(), metrics=figures))
    lines = told(capsys)
    row = next(line for line in lines if line.startswith("latency_events_p50"))
    assert row == (
        "latency_events_p50 | the GPU's own time, between two CUDA events | 190 µs | measured | CUDA events, 200 runs"
    )
    assert any(line.startswith("energy") and "– | unavailable | NVML is not installed" in line for line in lines)


def test_a_clock_is_named_only_where_one_was_read(capsys):
    read = (Kind.MEASURED, Kind.STAND_IN)
    for kind in (*read, Kind.ESTIMATED, Kind.SIMULATED):
        print_metrics(dataclasses.replace(profile(), metrics={"latency_p50": Metric(1e-3, "s", kind, "cycles")}))
        assert ("host's clock" in "".join(told(capsys))) == (kind in read), kind


def test_shares_are_told_in_percent(capsys):
    print_metrics(dataclasses.replace(profile(), metrics={"utilization": Metric(0.876, "1", Kind.SIMULATED, "m")}))
    assert any("87.6 %ᵐ" in line for line in told(capsys))


def test_a_processor_s_profile_has_no_empty_column(capsys):
    print_metrics(dataclasses.replace(profile(), metrics={"cpu_time_p50": seconds(1e-3)}))
    assert "what it is" not in "".join(told(capsys))


def test_batches_come_in_order_with_the_reason_for_what_is_missing(capsys):
    big = BatchPoint(64, {"throughput": unavailable("throughput", "out of GPU memory")})
    small = BatchPoint(1, {"throughput": Metric(5000.0, "1/s", Kind.MEASURED, "m"), "latency_p50": seconds(2e-4)})
    print_batches(profile(batches=(big, small)))
    lines = told(capsys)
    assert [line.split(" | ")[0] for line in lines if line[0].isdigit()] == ["1", "64"]
    assert "note: batch 64: no throughput: out of GPU memory" in lines
    print_batches(profile(batches=(small,)))
    assert told(capsys) == [], "one batch size is no sweep"


def test_the_gpu_before_and_after(capsys):
    print_gpus(profile().machine)
    lines = told(capsys)
    assert lines[0] == "NVIDIA GeForce RTX 4070"
    for wanted in (
        "driver | 580.65 (CUDA 13.0) | 580.65 (CUDA 13.0)",
        "sm clock | 2.48 GHz of 3.1 GHz | 2.48 GHz of 3.1 GHz",
        "clocks lowered by | – | power limit",
        "temperature | 54 °C | 54 °C",
        "power limit | 200 W | 200 W",
        "power mode | MAXN | MAXN",
    ):
        assert wanted in lines, f"missing: {wanted!r} in {lines}"


@pytest.mark.parametrize("gpus", [(), None])
def test_a_machine_without_a_gpu_prints_nothing_of_one(capsys, gpus):
    plain = MachineState("x86_64").as_dict()
    if gpus is None:
        del plain["gpus"]  # a profile of an older version
    print_gpus({"before": plain, "after": plain})
    assert told(capsys) == []


def test_a_gpu_that_does_not_answer_is_said(capsys):
    silent = MachineState("x86_64", gpus_unread="NVML is not installed").as_dict()
    print_gpus({"before": silent, "after": silent})
    assert told(capsys) == ["note: the state of the GPU is not known: NVML is not installed"]


def test_layers_show_the_figures_that_some_layer_has(capsys):
    rows = (
        LayerCounters("stem", "Conv", {"dram_bytes": Metric(2048.0, "B", Kind.ESTIMATED, "m")}, "int8"),
        LayerCounters("reformat", "Reformat", {}, "fp16"),
    )
    print_layers(profile())
    assert told(capsys) == ["note: the engine tells nothing of single layers"]
    print_layers(dataclasses.replace(profile(), layers=rows))
    lines = told(capsys)
    assert lines[0] == "layer | operator | precision | moved"
    assert "stem | Conv | int8 | 2 KiBᵉ" in lines and "reformat | Reformat | fp16 | –" in lines
