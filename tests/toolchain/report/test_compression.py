"""What compression did, in words, on the page and as curves."""

import dataclasses
import json

import pytest

from profiles.measurement import Kind, Metric, unavailable
from toolchain.cli.compress_tables import print_rows
from toolchain.compress.rows import Row, Speed
from toolchain.compress.sensitivity.points import PRUNE, RANK, Point
from toolchain.report import compression as section
from toolchain.report.charts.curves import Curve, Plot, draw
from toolchain.report.charts.curves import Point as Mark
from toolchain.report.compression import before_each, compression, points, verdict
from toolchain.report.page import render_report, verdicts
from toolchain.report.sensitivity import sensitivity_page, sentences, table
from toolchain.report.simple import compression_page
from toolchain.steps.sensitivity import Sensitivity
from toolchain.summary import BuildResult


def timed(value, kind=Kind.MEASURED):
    return {"here": Metric(value, "s", kind, "a clock")}


ROWS = (
    Row("start", "", 1000, 8_000_000, 4000, 0.0, 0.9, timed(8e-3)),
    Row("prune", "l1", 500, 4_000_000, 2000, 0.0, 0.88, timed(4e-3), {"here": Speed(2.0, 1.9, 2.1, "helped")}),
    Row(
        "lowrank", "<svd>", 100, 1_000_000, 400, 0.0, 0.5, timed(5e-3), {"here": Speed(0.8, 0.7, 0.9, "harmed")},
        ("slower on here: ×0.80 (0.70–0.90)",), ("a note",), kept=False,
    ),
    Row("finetune", "", 500, 4_000_000, 1000, 0.5, 0.91, timed(4e-3)),
)  # fmt: skip


def test_a_step_begins_with_the_last_model_that_was_kept():
    assert before_each(ROWS) == [None, ROWS[0], ROWS[1], ROWS[1]]


def test_the_whole_in_one_sentence():
    assert verdict(ROWS) == (
        "3 steps (1 rolled back): 2.00 × fewer MACs, 2.00 × fewer parameters, 4.00 × fewer stored bytes, "
        "accuracy +1.00 points"
    )
    assert [points(change) for change in (-0.005, 0.0, -1e-9, 0.012)] == [
        "−0.50 points", "±0.00 points", "±0.00 points", "+1.20 points",
    ]  # fmt: skip


def test_the_whole_says_how_fast_it_became_and_how_that_is_known():
    end = dataclasses.replace(
        ROWS[3],
        params=1100,
        macs=8_000_000,
        latency={**timed(4e-3), "chip": Metric(9.0, "1", Kind.SIMULATED, "instructions")},
        total={"here": Speed(1.01, 0.9, 1.1, "not measurably"), "chip": Speed(1.5, 1.5, 1.5, "helped")},
    )
    assert verdict((ROWS[0], end)) == (
        "1 step: as many MACs, 1.10 × as many parameters, 4.00 × fewer stored bytes, accuracy +1.00 points, "
        "not measurably faster on here: ×1.01 (0.90–1.10), faster on chip: ×1.50 (1.50–1.50), simulated"
    )


def test_every_line_is_against_the_model_before():
    found = compression(ROWS)
    assert [line.change for line in found.lines] == ["", "−2.00 points", "−38.00 points", "+3.00 points"]
    assert [cost.share for cost in found.lines[2].costs] == ["20 %", "25 %", "20 %"]
    assert [cost.share for cost in found.lines[3].costs] == ["100 %", "100 %", "50 %"]
    assert found.lines[1].latencies[0].chip == ("met", "✓", "faster")
    assert found.lines[2].latencies[0].ratio == "×0.80 (0.70–0.90)"
    assert compression(()) is None


def test_rolled_back_steps_are_off_the_line():
    wide = compression(ROWS).charts[0]
    macs, latency = wide.panels
    assert [mark.off for mark in macs.lines[0].marks] == [False, False, True, False]
    assert macs.lines[0].path.count("L") == 2, "three points that were kept"
    assert latency.x_title.startswith("latency p50 on here in ms")
    assert "rolled back" in macs.lines[0].marks[2].tip


def test_figures_of_different_kinds_are_not_drawn_on_one_axis():
    mixed = (ROWS[0], Row("prune", "l1", 1, 1, 1, 0.0, 0.8, timed(1.0, Kind.STAND_IN)))
    assert len(compression(mixed).charts[0].panels) == 1
    missing = (ROWS[0], Row("prune", "l1", 1, 1, 1, 0.0, 0.8, {"here": unavailable("latency_p50", "why")}))
    assert len(compression(missing).charts[0].panels) == 1
    assert compression(missing).lines[1].latencies[0].text == "–"


def test_without_accuracy_nothing_is_drawn():
    assert compression((Row("start", "", 1, 1, 1, 0.0), Row("prune", "l1", 1, 1, 1, 0.0))).charts == []


def test_the_page_escapes_names_and_loads_nothing():
    page = compression_page("<net>", ROWS)
    assert "&lt;net&gt;" in page and "lowrank (&lt;svd&gt;)" in page and "<svd>" not in page
    assert "⚠ slower on here: ×0.80 (0.70–0.90)" in page and "3 steps (1 rolled back)" in page
    assert "src=" not in page and "url(" not in page and "<link" not in page, "nothing comes from a network"
    assert page == compression_page("<net>", ROWS)


def test_the_report_of_a_build_has_the_section(tmp_path):
    result = BuildResult(tmp_path, (), (), ROWS)
    (tmp_path / "summary.json").write_text(json.dumps(result.as_dict()))
    page = render_report(tmp_path)
    assert 'href="#compression"' in page and page.count('<section id="compression"') == 1
    assert "⚠ slower on here: ×0.80 (0.70–0.90)" in page
    assert f"Compression: {verdict(ROWS)}." in verdicts(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(BuildResult(tmp_path, ()).as_dict()))
    assert 'id="compression"' not in render_report(tmp_path)


def test_the_terminal_says_the_same(capsys):
    print_rows(ROWS)
    out = capsys.readouterr().out
    assert "lowrank (<svd>), rolled back" in out and "50.00 % (-38.00)" in out
    assert "4 ms ×2.00 (1.90–2.10)" in out and "×0.80 (0.70–0.90) slower" in out
    assert "flag: step 2, lowrank (<svd>): slower on here" in out and "note: step 2, lowrank (<svd>): a note" in out


def test_names_never_stand_on_each_other():
    curves = tuple(Curve((Mark(0.0, 1.0, "a"), Mark(1.0, 0.5 + i / 1000, "b")), f"layer{i}") for i in range(5))
    (wide, _) = draw([Plot("accuracy", "accuracy", "x", "y", curves)], "t")
    assert sum(line.end is not None for line in wide.panels[0].lines) == 1
    assert wide.layout.columns == 1 and wide.height == wide.layout.height
    assert draw([Plot("macs", "accuracy", "x", "y", ())], "t") == []


FOUND = Sensitivity(
    "net", 100, 0.9,
    tuple(
        Point(part, layer, share, 16, 16 - round(16 * share), 0.9 - share * loss)
        for part in (PRUNE, RANK)
        for layer, loss in (("a", 0.1), ("b", 0.9))
        for share in (0.25, 0.5)
    ),
)  # fmt: skip


def test_the_most_sensitive_layer_comes_first():
    columns, rows = table(FOUND, PRUNE)
    assert columns == ["layer", "channels", "−25%", "−50%"]
    assert rows[0] == ["b", "16", "67.50 % (12 left)", "45.00 % (8 left)"] and rows[1][0] == "a"
    assert sentences(FOUND)[1:] == [
        "Most sensitive to fewer channels: b; least: a.", "Most sensitive to fewer ranks: b; least: a.",
    ]  # fmt: skip


def test_curves_begin_with_the_model_as_it_is():
    page = sensitivity_page(FOUND)
    assert "right on 90.00 % of 100 training samples" in page
    assert page.count('<svg class="chart wide"') == 2 and page.count("as it is: 90.00 %") >= 4


@pytest.mark.parametrize("metric", [None, unavailable("latency_p50", "why")])
def test_a_missing_latency_is_a_dash(metric):
    assert section.figure(metric) == "–"
    assert section.figure(Metric(2e6, "1", Kind.SIMULATED, "counted instructions")) == "2.00 M instructions"
    assert section.figure(Metric(2e6, "1", Kind.MEASURED, "the board's counter")) == "2.00 M cycles"
