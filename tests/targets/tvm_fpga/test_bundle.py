"""What a bundle holds for every kind of device, and that it is the same every time."""

import dataclasses
import os
import shutil

import onnx
import pytest

from profiles.device import load_device
from targets.artifact import sha256
from targets.base import ExportedModel, TensorSpec
from targets.tvm_fpga import container
from targets.tvm_fpga.bundle import write_bundle
from targets.tvm_fpga.device import geometry_of
from targets.tvm_fpga.host import target as hosts
from targets.tvm_fpga.host.driver import DRIVER
from targets.tvm_fpga.synth.command import plan_of
from tests.targets.tvm_fpga.host.hosted_nets import residual

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None and not os.environ.get("CI"), reason="needs gcc; run: edgewright doctor"
)
MACHINES = {"x86_64": 62, "aarch64": 183, "armv7": 40}  # e_machine of ELF


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small residual network as Q/DQ ONNX."""
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(residual().model(), path)
    ends = (TensorSpec("x0", (1, 3, 16, 16)),), (TensorSpec("y", (1, 10)),)
    return ExportedModel("net", *ends, onnx=path, precision="int8")


def named(name, **cpu):
    device = load_device(name)
    return dataclasses.replace(device, cpu=dataclasses.replace(device.cpu, **cpu))


def listing(folder):
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


def machine(path):
    return int.from_bytes(path.read_bytes()[18:20], "little")


def built(model, device, folder):
    folder.mkdir()
    return write_bundle(model, device, folder)


def test_the_same_bytes_every_time_and_everywhere(model, tmp_path):
    device = named("fpga-zynq-7020")
    places = [tmp_path / "one", tmp_path / "a" / "longer path" / "two"]
    places[1].parent.mkdir(parents=True)
    first, second = [built(model, device, place) for place in places]
    assert first == second
    files = listing(places[0])
    assert files == listing(places[1]), "some file depends on where or when it was made"
    assert machine(places[0] / "host-x86_64.so") == MACHINES["x86_64"]
    symbol = next(iter(first.options["layers"]))
    program = container.load(places[0] / f"{symbol}.ewfs", geometry_of(device))
    assert {f"{symbol}.txt", "rtl/vivado.tcl", "rtl/top.xdc", "rtl/ew_top.v", "rtl/accelerator.v"} <= set(files)
    assert (places[0] / "board" / f"{symbol}.bin").read_bytes() == program.image.tobytes(), "not what the stream has"
    for name in ("ew_fpga.c", "ew_fpga.h"):
        assert (places[0] / "board" / name).read_bytes() == (DRIVER / name).read_bytes()
    assert f'"{symbol}"' in (places[0] / "board" / "regions.c").read_text()
    board = first.options["board"]
    assert board["host"] == "armv7" and set(board["files"]) == {name for name in files if name.startswith("board/")}


@pytest.mark.parametrize(("arch", "name"), [("armv7l", "armv7"), ("aarch64", "aarch64")])
def test_the_boards_host_module(model, tmp_path, arch, name):
    host = hosts.HOSTS[name]
    if host.missing:
        assert not os.environ.get("CI"), host.missing
        pytest.skip(host.missing)
    compiled = built(model, named("fpga-zynq-7020", arch=arch), tmp_path / "out")
    assert not compiled.options["board"]["missing"]
    assert machine(tmp_path / "out" / "board" / f"host-{name}.so") == MACHINES[name]
    assert not [file for file in compiled.files if "board" in file], "the runner here needs none of it"


def test_a_missing_cross_compiler_is_told(model, tmp_path, monkeypatch):
    real = shutil.which
    monkeypatch.setattr(hosts.shutil, "which", lambda name: None if name.startswith("arm-linux") else real(name))
    board = built(model, named("fpga-zynq-7020"), tmp_path / "out").options["board"]
    assert board["missing"] == (
        "the host module for armv7: arm-linux-gnueabihf-gcc is not installed; "
        "run: sudo apt-get install gcc-arm-linux-gnueabihf, and build again"
    )
    assert not [name for name in board["files"] if name.endswith(".so")]
    assert "board/regions.c" in board["files"], "what is there can be compiled elsewhere"


def test_fabric_alone(model, tmp_path):
    compiled = built(model, named("fpga-ecp5-85"), tmp_path / "out")
    assert compiled.options["board"] == {"host": "", "files": [], "missing": ""}
    assert not (tmp_path / "out" / "board").exists()
    for name, content in plan_of(load_device("fpga-ecp5-85")).files.items():
        assert (tmp_path / "out" / "rtl" / name).read_bytes() == content, f"{name} is not what is synthesized"
    assert (tmp_path / "out" / "rtl" / "synth.sh").is_file()


def test_a_simulation_needs_no_scripts(model, tmp_path):
    built(model, named("fpga-sim-16x16"), tmp_path / "out")
    suffixes = {path.suffix for path in (tmp_path / "out" / "rtl").iterdir()}
    assert suffixes == {".v", ".vh"}
