"""The tools' reports and logs, read."""

import json

import pytest

from profiles.errors import ToolCrashError
from targets.tvm_fpga.synth.reports import cells, timing
from targets.tvm_fpga.synth.result import Synthesis, Usage
from targets.tvm_fpga.synth.stages import errors, stage_of, too_many
from tests.targets.tvm_fpga.synth.excerpts import CELLS, LOG, REPORT, TOO_LARGE


def test_nextpnrs_report_gives_clock_resources_and_the_slowest_path_in_words():
    fmax, path, usages = timing(json.dumps(REPORT))
    assert fmax == pytest.approx(64.39564514160156e6), "Hz, not MHz"
    assert {name: (usage.used, usage.available) for name, usage in usages.items()} == {
        "luts": (19235, 83640), "flip_flops": (10238, 83640), "multipliers": (98, 156), "block_rams": (80, 208),
    }  # fmt: skip
    assert path == (
        "core.compute.partial.ram to core.compute.partial.ram.wdata: 9.5 ns, 3.2 ns of it on wires, 1 cells between"
    )


def test_the_slowest_clock_counts():
    two = {"fast": {"achieved": 200.0}, "slow": {"achieved": 70.0}}
    assert timing(json.dumps({**REPORT, "fmax": two}))[0] == 70e6


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({**REPORT, "fmax": {}})])
def test_a_report_without_figures_is_an_error_and_not_zero(text):
    with pytest.raises(ToolCrashError, match="nextpnr's report"):
        timing(text)


def test_yosys_report_gives_cells():
    assert cells(CELLS) == {"CCU2C": 1936, "DP16KD": 80, "L6MUX21": 339, "LUT4": 14804, "MULT18X18D": 98}
    with pytest.raises(ToolCrashError, match="yosys"):
        cells("{}")


def test_stages_are_told_in_order():
    assert [stage for line in LOG.splitlines() if (stage := stage_of(line))] == [
        "packing", "placing", "refining the placement", "routing 92806 connections",
        "routing, 90954 connections left", "checking the timing",
    ]  # fmt: skip
    assert stage_of("stage: coarse synthesis\n") == "coarse synthesis"


def test_what_does_not_fit_is_named():
    assert too_many(LOG) == []
    assert too_many(TOO_LARGE) == [Usage("multipliers", 326, 156)]
    assert errors(TOO_LARGE) == ["Unable to place cell 'x', no BELs remaining to implement cell type 'MULT18X18D'"]


def test_a_result_survives_json():
    fmax, path, usages = timing(json.dumps(REPORT))
    made = Synthesis("LFE5U-85F", 80e6, fmax, critical_path=path, tools={"a": "1"}, digest="d", seconds=2.5, **usages)
    assert Synthesis.from_dict(json.loads(json.dumps(made.as_dict()))) == made
    assert not made.met, "64 MHz are less than 80"
    assert "64.4 MHz" in made.text()
    assert "98 of 156 multipliers (63 %)" in made.text()
