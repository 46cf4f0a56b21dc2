"""The tables of a build: one for all bundles, and one each for firmware and for engines on a GPU."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from toolchain.cli.tables import FPGA, GPU, SHOWN, print_entries, verdict
from toolchain.summary import Entry


def entry(name: str, notes: tuple[str, ...] = (), **metrics: Metric) -> Entry:
    return Entry(name, name, "tensorrt", "fp16", Path(name), metrics, notes=notes)


def told(capsys) -> list[str]:
    return [re.sub(r"\s{2,}", " | ", line.strip()) for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_engines_on_a_gpu_have_a_table_of_their_own(capsys):
    fast = Metric(1.9e-4, "s", Kind.MEASURED, "CUDA events")
    kernels = Metric(57.0, "1", Kind.ESTIMATED, "schedule")
    print_entries([entry("one", latency_events_p50=fast, kernels=kernels), entry("plain")])
    lines = told(capsys)
    assert "on the GPU | events p50 | kernels" in lines, f"columns without a figure must be left out: {lines}"
    assert lines[lines.index("on the GPU | events p50 | kernels") + 2] == "one | 190 µs | 57ᵉ"
    assert sum(line.startswith("plain") for line in lines) == 1, "a bundle for a processor is no part of it"


def test_what_was_compiled_and_never_run_says_so(capsys):
    bundle = entry(
        "one", ("compiled, not run: no NVIDIA GPU",), kernels=Metric(57.0, "1", Kind.ESTIMATED, "m"),
        latency_events_p50=unavailable("latency_events_p50", "no NVIDIA GPU"),
    )  # fmt: skip
    print_entries([bundle])
    lines = told(capsys)
    assert any(line.startswith("one (tensorrt) | not run | –") for line in lines), lines
    assert "on the GPU | kernels" in lines


def test_a_build_without_a_gpu_has_no_such_table(capsys):
    print_entries([entry("plain", latency_p50=Metric(1e-3, "s", Kind.MEASURED, "m"))])
    assert not any("on the GPU" in line for line in told(capsys))


def test_a_table_without_a_single_figure_is_left_out(capsys):
    print_entries([entry("one", kernels=unavailable("kernels", "the device compiles"))])
    assert not any("on the GPU" in line for line in told(capsys))


def test_marks_are_explained_only_where_they_occur(capsys):
    print_entries([entry("one", sqnr=Metric(30.0, "dB", Kind.SIMULATED, "m"))])
    assert "simulated" not in " ".join(told(capsys)), "the table has no column for it"


def test_a_missed_limit_does_not_hide_one_without_a_figure(capsys):
    rows = [{"metric": "model_size", "met": False}, {"metric": "energy", "met": None}, {"metric": "ram", "met": True}]
    assert verdict(dataclasses.replace(entry("one"), budget=rows)) == "missed: model_size; unknown: energy"
    assert verdict(dataclasses.replace(entry("one"), budget=rows[2:])) == "met"


def test_columns_are_metrics_that_all_know():
    from profiles.measurement import METRIC_UNITS

    assert {*GPU.values(), *SHOWN} <= set(METRIC_UNITS)


def test_the_columns_of_an_fpga(capsys):
    figures = {
        "utilization": Metric(0.9171, "1", Kind.SIMULATED, "m"),
        "cycles": Metric(51446.0, "1", Kind.SIMULATED, "m"),
        "luts": Metric(19235.0, "1", Kind.ESTIMATED, "m"),
        "device_share": Metric(0.628, "1", Kind.ESTIMATED, "m"),
        "fmax": Metric(81.3e6, "Hz", Kind.ESTIMATED, "m"),
    }
    print_entries([entry("one", **figures)])
    text = "\n".join(told(capsys))
    assert "on the FPGA" in text and set(FPGA.values()) <= set(METRIC_UNITS)
    for shown in ("91.7 %ᵐ", "51,446ᵐ", "19,235ᵉ", "62.8 %ᵉ", "81.3 MHzᵉ"):
        assert shown in text, f"{shown} is missing"
    assert "block RAMs" not in text, "a column that nothing has a figure for"
