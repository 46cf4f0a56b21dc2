"""The page of the GPU benchmark: with a GPU, without one, and with every kind of thing that can be missing."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu_page import page
from benchmarks.gpu_results import CAPABILITIES, PRECISIONS, Compared, Planned, Results, Timed, missed
from profiles.measurement import Kind, Metric, unavailable

CONDITIONS = {"machine": "a PC, 8 cores", "date": "2026-11-30", "tools": {"torch": "2.13.0", "onnx": None}}
GPU = {"name": "NVIDIA RTX 4070", "compute_capability": "8.9", "driver": "580.65", "cuda": "13.0", "memory": 12 * 2**30}
CLAIM = "Everything compiles."


def seconds(value: float) -> Metric:
    return Metric(value, "s", Kind.MEASURED, "m")


def timed(model: str, precision: str, engine: str = "tensorrt", events: float = 1e-4, host: float = 1.5e-4) -> Timed:
    metrics = {"latency_events_p50": seconds(events), "latency_p50": seconds(host)}
    return Timed(model, precision, engine, "", {**metrics, "sqnr": Metric(31.25, "dB", Kind.SIMULATED, "m")})


def plans(model: str) -> tuple[Planned, ...]:
    numbers = {"fp32": (12, 0, 1_200_000), "fp16": (13, 0, 600_000), "int8": (21, 9, 700_000)}
    return tuple(
        Planned(model, precision, capability, "", 0.4, 300_000, *numbers[precision], 65_536)
        for precision in PRECISIONS
        for capability in CAPABILITIES
    )


def first_table(text: str) -> list[list[str]]:
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("|"))
    end = next(index for index in range(start, len(lines)) if not lines[index].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]


def test_without_a_gpu_the_page_says_plainly_that_nothing_was_measured():
    text = page(Results(CONDITIONS, None, "no driver", plans("resnet8"), (timed("resnet8", "int8"),)), CLAIM)
    assert "## No GPU was at hand: nothing was measured" in text and "Why: no driver." in text
    assert "- Measured on no GPU, because none was at hand; compiled on a PC, 8 cores, 2026-11-30." in text
    assert "## What was measured" not in text and "Energy by two" not in text
    row = first_table(text)[2]
    assert row[:5] == ["resnet8", "15 of 15", "12 / 13 / 21", "9 of 21", "1.14 MiB / 586 KiB / 684 KiB"]
    assert row[5] == "31.2 dB"


def test_the_matrix_has_a_row_for_every_engine():
    text = page(Results(CONDITIONS, None, "no driver", plans("resnet8")), CLAIM)
    rows = re.findall(r"^\| resnet8 \| (\w+) \| ([\d.]+) \| (\d+) \| (\d+) ", text, re.M)
    assert [(row[0], row[1]) for row in rows] == [(p, c) for p in PRECISIONS for c in CAPABILITIES]
    assert {row[2:] for row in rows if row[0] == "int8"} == {("21", "9")}


def test_an_engine_that_was_not_compiled_has_its_reason_and_misses_the_goal():
    bad = Planned("resnet8", "int8", "12.1", "the compiler ended with signal 11")
    results = Results(CONDITIONS, None, "no driver", (*plans("resnet8")[:-1], bad))
    text = page(results, CLAIM)
    assert "| resnet8 int8 for SM 12.1 | the compiler ended with signal 11 |" in text
    assert first_table(text)[2][1] == "14 of 15"
    assert missed(results) == ["resnet8 in int8 for SM 12.1: the compiler ended with signal 11"]


def test_with_a_gpu_the_first_table_has_every_engine_and_names_the_fastest():
    rows = (timed("resnet8", "fp32"), timed("resnet8", "fp16", events=5e-5), timed("resnet8", "fp16", "pytorch", 2e-4))
    text = page(Results(CONDITIONS, GPU, timed=rows), CLAIM)
    table = first_table(text)
    assert table[0] == ["model, p50 by events", "tensorrt fp32", "tensorrt fp16", "pytorch fp16", "fastest"]
    assert table[2] == ["resnet8", "100 µs", "50 µs", "200 µs", "**tensorrt fp16**"]
    assert "Measured on NVIDIA RTX 4070 (12 GiB, driver 580.65, CUDA 13.0, compute capability 8.9)" in text
    assert "nothing was measured" not in text


def test_both_clocks_are_explained_with_this_machine_s_numbers():
    rows = (timed("a", "fp16", events=1e-4, host=1.3e-4), timed("b", "fp16", events=1e-3, host=1.01e-3))
    text = page(Results(CONDITIONS, GPU, timed=rows), CLAIM)
    assert "Here the host's clock is above the events by 10 µs (b, tensorrt fp16) to 30 µs (a, tensorrt fp16)." in text
    assert re.search(r"\| a \| tensorrt \| fp16 \| 100 µs \| 130 µs \| 1.30 \|", text), (
        "the ratio of the clocks is missing"
    )


@pytest.mark.parametrize(
    ("deviation", "margin", "verdict", "goals"),
    [(0.02, 0.01, "yes", 0), (-0.08, 0.01, "**no**", 1), (0.02, 0.2, "too short to tell", 0)],
)
def test_energy_by_two_instruments(deviation, margin, verdict, goals):
    row = Compared("resnet8", "fp16", "tensorrt", "", 120.0, 120.0 * (1 + deviation), 0.02, deviation, margin)
    results = Results(CONDITIONS, GPU, timed=(timed("resnet8", "fp16"),), compared=(row,))
    line = next(line for line in page(results, CLAIM).splitlines() if "120 W" in line)
    assert line.endswith(f"| {verdict} |") and f"{100 * deviation:+.1f} %" in line
    assert len(missed(results)) == goals


def test_a_gpu_that_is_not_listed_has_the_words_of_the_library():
    tried = (("an engine for SM 9.0", "wanted an engine; seen: compute capability 9.0"),)
    text = page(Results(CONDITIONS, GPU, unlisted=tried, timed=(timed("a", "fp16"),)), CLAIM)
    assert "## A GPU that TensorRT-RTX does not list" in text
    assert "| an engine for SM 9.0 | wanted an engine; seen: compute capability 9.0 |" in text


def test_a_bare_machine_gives_reasons_and_not_a_crash():
    why = "the target 'tensorrt' needs tensorrt-rtx-cu13; seen: not installed"
    rows = (*(Timed("a", precision, "tensorrt", why) for precision in PRECISIONS), timed("a", "fp32", "pytorch"))
    results = Results(CONDITIONS, GPU, "", (), rows, (Compared("a", "fp32", "pytorch", "no pynvml"),))
    text = page(results, CLAIM)
    assert f"| a fp32 with tensorrt; a fp16 with tensorrt; a int8 with tensorrt | {why} |" in text
    assert "- a, pytorch fp32: no pynvml" in text
    assert page(Results(CONDITIONS, GPU), CLAIM) and page(Results(CONDITIONS), CLAIM), "even with no row at all"


@given(st.text(alphabet="ab|\n `<>*\\", max_size=30))
def test_a_reason_never_breaks_the_table(why):
    results = Results(CONDITIONS, None, "", (Planned("m", "int8", "8.6", f"x{why}"),))
    row = next(line for line in page(results, CLAIM).splitlines() if line.startswith("| m int8 for SM 8.6 | x"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 3, f"the reason opened a cell of its own: {row!r}"


def test_results_survive_a_journey_through_json():
    results = Results(
        CONDITIONS, GPU, "", plans("a"), (timed("a", "fp16"), Timed("a", "int8", "tensorrt", "no")),
        (Compared("a", "fp16", "tensorrt", "", 1.0, 1.0, 1.0, 0.0, 0.0),), (("attempt", "outcome"),),
    )  # fmt: skip
    again = Results.from_dict(json.loads(json.dumps(results.as_dict())))
    assert again == results and page(again, CLAIM) == page(results, CLAIM)


def test_a_figure_that_is_unavailable_is_a_dash():
    row = Timed(
        "a", "fp16", "tensorrt", "", {"energy": unavailable("energy", "no meter"), "latency_p50": seconds(1e-3)}
    )
    text = page(Results(CONDITIONS, GPU, timed=(row,)), CLAIM)
    assert "energy above idle" not in text and "| a | tensorrt | fp16 | 1 ms | – |" in text


def test_the_readme_can_take_its_part():
    """The generator of the README reads the claim, the first table and the line on the machine."""
    lines = page(Results(CONDITIONS, None, "no driver", plans("a")), CLAIM).splitlines()
    assert lines[0].startswith("# ") and lines[2] == CLAIM
    assert sum(line.startswith("- Measured on") for line in lines) == 1


def test_a_bundle_that_was_built_and_could_not_run_is_among_the_reasons():
    row = Timed("a", "fp16", "tensorrt", "", {"latency_p50": unavailable("latency_p50", "no tensorrt on this machine")})
    text = page(Results(CONDITIONS, GPU, timed=(row, timed("a", "fp16", "pytorch"))), CLAIM)
    assert "| a fp16 with tensorrt | no tensorrt on this machine |" in text
    assert "| a | tensorrt | fp16 | –" not in text, "a row of dashes says nothing"
