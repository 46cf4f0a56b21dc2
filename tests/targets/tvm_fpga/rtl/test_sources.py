"""The Verilog: no warning from Verilator for any array, none from yosys, and copies with the parameters chosen."""

import pytest
from bench import small
from yosys import yosys

from targets.execute import run_program
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.sources import FORMAL, TOP, isa_header, parameters, verilog, write_rtl
from targets.tvm_fpga.rtl.verilate import verilator

LARGEST = {"activations": 1 << 20, "weights": 1 << 20, "parameters": 1 << 12, "accumulators": 1 << 12, "line": 1 << 10,
           "raw": 1 << 12}  # fmt: skip
SMALLEST = {"activations": 16, "weights": 16, "parameters": 16, "accumulators": 16, "line": 16, "raw": 16}
GEOMETRIES = [
    Geometry(lanes=lanes, port=port, **depths)
    for lanes, port, depths in ((4, 8, SMALLEST), (8, 8, {}), (16, 16, {}), (32, 8, LARGEST), (4, 16, LARGEST))
]


@pytest.mark.parametrize("inner", ["ew_core", "ew_narrow"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.lanes}x{g.port}-{g.activations}")
def test_verilator_has_nothing_to_say(geometry, inner, tmp_path):
    files = write_rtl(geometry, tmp_path, inner=inner)
    argv = [
        verilator() / "bin" / "verilator_bin",
        "--lint-only",
        "-Wall",
        "-Wno-PINCONNECTEMPTY",
        "--top-module",
        TOP,
        *files,
    ]
    done = run_program([str(each) for each in argv], timeout=120, env={"VERILATOR_ROOT": str(verilator())})
    said = [line for line in done.stderr.splitlines() if line.startswith("%")]
    assert done.status == 0, "\n".join(said[:10])


def test_yosys_reads_it_and_its_checks_find_nothing(tmp_path):
    chosen = " ".join(f"-set {name} {value}" for name, value in parameters(small(4)).items())
    done = yosys(f"chparam {chosen} ew_core; hierarchy -check -top ew_core; proc; check -assert", tmp_path)
    told = [line for line in done.stdout.splitlines() if "Warning: " in line and "list of registers" not in line]
    assert done.status == 0, done.stdout[-800:] + done.stderr[-800:]
    assert not told, "\n".join(told)


def test_every_file_holds_the_module_of_its_name_and_no_other():
    for path in (*verilog(), *sorted(FORMAL.glob("*.v"))):
        lines = [line.split()[1] for line in path.read_text().splitlines() if line.startswith("module ")]
        assert lines == [path.stem], f"{path.name} has the modules {lines}"
        assert len(path.read_text().splitlines()) <= 300, f"{path.name} is too long"


def test_copies_are_the_same_every_time_and_complete(tmp_path):
    first, second = (write_rtl(small(8), tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == [path.name for path in second]
    assert first[0].name == "ew_isa.vh", "definitions come first"
    assert {path.name: path.read_bytes() for path in first} == {path.name: path.read_bytes() for path in second}
    assert ".LANES(8)" in (tmp_path / "a" / "ew_top.v").read_text()


def test_the_header_has_the_fields_of_the_instructions():
    header = isa_header()
    assert "`define EW_COMPUTE_MODE 65:64" in header and "`define EW_COMPUTE_IY0_SIGN" in header
