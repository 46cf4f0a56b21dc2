"""The sentences: the fastest by name, int8 that is not faster said outright, and what was not measured."""

from __future__ import annotations

import pytest

from tests.toolchain.report.gpu_build import WHY_NOT_RUN, figure, make_gpu_build, spread
from toolchain.report import render_report, verdicts
from toolchain.report.format_words import clock, format_sentences
from toolchain.report.formats import groups
from toolchain.report.load import load_build


def sentences(folder) -> list[str]:
    return format_sentences(groups(load_build(folder))[0])


def set_latency(edit, folder, precision: str, middle: float | None, **more):
    def change(summary):
        entry = next(e for e in summary["entries"] if e["precision"] == precision)
        for name in ("latency_events_p50", "latency_p50"):
            entry["metrics"][name] = figure(middle, "s", text="no answer" if middle is None else "by hand", **more)

    edit(folder / "summary.json", change)
    edit(folder / f"rtx-4070-{precision}" / "profile.json", lambda p: p.update(metrics={}))


def test_the_fastest_is_named_with_its_clock(tmp_path):
    assert sentences(make_gpu_build(tmp_path))[0] == (
        "Fastest measured format on rtx-4070 with tensorrt: fp16, 190 µs by CUDA events, 2.2 × as fast as fp32."
    )


def test_int8_that_is_slower_is_said_outright_with_the_kernels_that_stand_alone(tmp_path):
    said = sentences(make_gpu_build(tmp_path))[1]
    assert said.startswith("int8 is slower than fp16 on this device: 1.30 × (")
    assert said.endswith("; 9 requantization kernels stand alone.")


def test_int8_that_is_faster(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    set_latency(edit, folder, "int8", 1e-4, samples=spread(0.1, 5))
    said = sentences(folder)
    assert said[0].startswith("Fastest measured format on rtx-4070 with tensorrt: int8, 100 µs")
    assert said[1].startswith("int8 is faster than fp16 on this device: 1.90 × (")
    assert "slower" not in render_report(folder)


def test_int8_that_is_no_faster_than_noise(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    set_latency(edit, folder, "int8", 1.9e-4, samples=spread(0.19, 77))
    said = sentences(folder)
    assert "not measurably ahead of" in said[0]
    assert said[1].startswith("int8 is not measurably faster than fp16 on this device: ")


def test_single_figures_are_not_taken_for_proof(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    set_latency(edit, folder, "int8", 3.8e-4)
    assert "int8 took longer than fp16 on this device (2 ×), without samples to tell it from noise." in sentences(
        folder
    )


def test_nothing_measured_says_why_and_what_the_compiler_planned(tmp_path):
    assert sentences(make_gpu_build(tmp_path, ran=False)) == [
        f"Not measured on rtx-4070 with tensorrt: compiled, not run: {WHY_NOT_RUN}; the compiler planned "
        "71 kernels for int8 (9 of them to requantize), 57 for fp16 and 58 for fp32."
    ]


def test_one_format_without_a_figure_is_named(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    set_latency(edit, folder, "int8", None)
    said = sentences(folder)
    assert any(
        s.startswith("int8 not measured on rtx-4070 with tensorrt: no answer; the compiler planned 71") for s in said
    )
    assert not any("int8 is" in s for s in said), "what was not measured is not compared"


def test_kinds_are_not_held_against_each_other(tmp_path, edit):
    folder = make_gpu_build(tmp_path)

    def stand_in(summary):
        for name in ("latency_events_p50", "latency_p50"):
            summary["entries"][2]["metrics"][name].update(kind="stand_in")

    edit(folder / "summary.json", stand_in)
    said = sentences(folder)
    assert any("The only stand-in format on rtx-4070" in s for s in said)
    assert not any("int8 is" in s for s in said), "a stand-in was ranked against a measurement"


def test_a_format_that_is_missing_says_so(tmp_path):
    said = sentences(make_gpu_build(tmp_path, chosen=("fp32", "fp16")))
    assert said[-1] == "int8 was not built: no bundle of this format is in the summary."


def test_events_are_the_clock_where_two_bundles_have_them(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    assert clock(load_build(folder).entries) == "latency_events_p50"

    def without(summary):
        for entry in summary["entries"]:
            del entry["metrics"]["latency_events_p50"]

    edit(folder / "summary.json", without)
    for name in ("fp32", "fp16", "int8"):
        edit(folder / f"rtx-4070-{name}" / "profile.json", lambda p: p["metrics"].pop("latency_events_p50"))
    assert clock(load_build(folder).entries) == "latency_p50"


@pytest.mark.parametrize("ran", [True, False])
def test_the_terminal_and_the_page_say_the_same(tmp_path, ran):
    import html

    folder = make_gpu_build(tmp_path, ran=ran)
    page = html.unescape(render_report(folder))
    for sentence in sentences(folder):
        assert sentence in verdicts(folder), f"the terminal does not say: {sentence}"
        assert sentence in page, f"the page does not say: {sentence}"
