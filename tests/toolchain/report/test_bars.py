"""Bars of the formats: lengths are proportional, kinds are never mixed, nothing leaves the picture."""

from __future__ import annotations

import pytest

from tests.toolchain.report.gpu_build import make_gpu_build
from toolchain.report.charts.bars import NARROW, WIDE, bars
from toolchain.report.charts.marks import text_width
from toolchain.report.formats import groups
from toolchain.report.load import load_build


def chart(folder, layout=WIDE):
    return bars(groups(load_build(folder))[0], layout, "wide")


def test_lengths_are_proportional_and_start_at_zero(tmp_path):
    for panel in chart(make_gpu_build(tmp_path)).panels:
        shown = [(float(bar.text.replace(",", "")), bar.length) for bar in panel.bars]
        value, length = max(shown)
        for other, pixels in shown:
            assert pixels / length == pytest.approx(other / value, abs=0.006), f"{panel.title}: {shown}"


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_nothing_leaves_its_panel_or_covers_another(tmp_path, layout):
    found = chart(make_gpu_build(tmp_path), layout)
    for panel in found.panels:
        for bar in panel.bars:
            assert bar.x - 8 - text_width(bar.label, 13) >= panel.x - 1, f"{bar.label} begins left of its panel"
            end = bar.x + bar.length + 7 + text_width(f"{bar.text} ★", 14)
            assert end <= panel.x + layout.panel + 1, f"{bar.text} ends right of its panel"
            assert bar.y + 18 <= found.height, "a bar ends below the picture"
    boxes = [(p.x, p.y, p.x + layout.panel, p.bars[-1].y + 23) for p in found.panels]
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, f"two panels overlap: {boxes[index]} and {other}"


def test_a_figure_of_another_kind_is_left_out_and_named(tmp_path, edit):
    folder = make_gpu_build(tmp_path)
    for path, place in ((folder / "summary.json", "entries"), (folder / "rtx-4070-int8" / "profile.json", "")):
        edit(path, lambda d, p=place: (d[p][2] if p else d)["metrics"]["energy"].update(kind="stand_in"))
    found = chart(folder)
    energy = next(panel for panel in found.panels if panel.title == "energy")
    assert [bar.label for bar in energy.bars] == ["fp32", "fp16"] and energy.kind == "measured"
    assert found.notes == ("Energy of int8 is stand-in, and not drawn here.",)


def test_what_was_only_compiled_is_drawn_from_what_the_compiler_says(tmp_path):
    found = chart(make_gpu_build(tmp_path, ran=False))
    assert [(p.title, p.kind) for p in found.panels] == [
        ("model size", "measured"), ("kernels", "estimated"), ("DRAM traffic", "estimated"),
    ]  # fmt: skip


def test_one_bundle_alone_is_no_comparison(tmp_path):
    assert chart(make_gpu_build(tmp_path, chosen=("fp16",))) is None
