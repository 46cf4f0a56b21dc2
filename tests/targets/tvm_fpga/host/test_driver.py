"""The form for boards: C sources that TVM calls, the driver, and a thread that plays the board."""

import contextlib
import mmap
import os
import shutil
import subprocess
import threading
import time

import hosted_nets
import numpy as np
import pytest
from agreement import SMALL, split
from test_networks import hosted

from targets.tvm_fpga.compiler.compile import compile_region
from targets.tvm_fpga.golden.machine import Machine
from targets.tvm_fpga.host.build import build_host
from targets.tvm_fpga.host.driver import DRIVER, make_glue
from targets.tvm_fpga.host.module import HostModule
from targets.tvm_fpga.host.target import host_target
from targets.tvm_fpga.isa import decode

CONTROL, STATUS, PROGRAM_AT, LIMIT = 0, 1, 2, 3


class Board:
    """Memory and registers as two files; a thread does what the hardware does."""

    def __init__(self, folder, monkeypatch, timeout=20_000):
        for name, size in (("memory", 1 << 20), ("registers", 0x1000)):
            (folder / name).write_bytes(bytes(size))
        files = [(folder / name).open("r+b") for name in ("memory", "registers")]
        self.maps = [mmap.mmap(file.fileno(), 0) for file in files]
        self.memory = np.frombuffer(self.maps[0], np.int8)
        self.registers = np.frombuffer(self.maps[1], np.uint32)
        self.stop, self.runs, self.faulty = False, 0, False
        settings = {
            "REGISTERS": folder / "registers",
            "MEMORY": folder / "memory",
            "IMAGES": folder,
            "TIMEOUT": timeout,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"EW_FPGA_{name}", str(value))

    def play(self):
        while not self.stop:
            if self.registers[CONTROL] == 1:
                self.registers[CONTROL] = 0
                self.runs += 1
                if not self.faulty:
                    self.execute()
                self.registers[STATUS] = 2 if self.faulty else 1
            elif self.registers[CONTROL] == 2:
                self.registers[STATUS] = 0
            time.sleep(0.0005)

    def execute(self):
        memory = self.memory[: int(self.registers[LIMIT])]
        at, stream = int(self.registers[PROGRAM_AT]), []
        while not stream or stream[-1].op.name != "FINISH":
            stream.append(decode(memory[at : at + 64].tobytes()))
            at += 64
        Machine(SMALL, memory).run(stream)

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self.play, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop = True
            thread.join()


def deployed(graph, folder):
    """The host module with the driver in it."""
    parted = split(graph)
    regions = [each.host for each in parted.regions]
    programs = {each.symbol: compile_region(each.region, SMALL) for each in parted.regions}
    glue = make_glue(regions, programs, folder)
    return build_host(parted, host_target("x86_64"), folder / "deployed.so", glue)


@pytest.mark.parametrize("build", [hosted_nets.residual, hosted_nets.host_between, hosted_nets.two_outputs])
def test_a_network_through_the_driver(tmp_path, monkeypatch, build):
    graph = build()
    board = Board(tmp_path, monkeypatch)
    parted, plain = hosted(graph, tmp_path)
    library = deployed(graph, tmp_path)
    samples = [list(sample.values()) for sample in hosted_nets.images(graph, 2)]
    with board.running():
        module = HostModule(library, (), lambda symbol, inputs: pytest.fail("the driver runs the regions"))
        for sample in samples:
            for mine, its in zip(module.run(sample), plain.run(sample), strict=True):
                assert np.array_equal(mine, its), "the driver gives other numbers"
    assert board.runs == len(parted.regions) * len(samples)


def test_faults_and_silence_are_errors(tmp_path, monkeypatch):
    graph = hosted_nets.two_outputs()
    board = Board(tmp_path, monkeypatch, timeout=300)
    module = HostModule(deployed(graph, tmp_path), (), lambda symbol, inputs: {})
    sample = list(hosted_nets.images(graph)[0].values())
    with pytest.raises(Exception, match="did not end in time"):
        module.run(sample)
    board.faulty = True
    with board.running(), pytest.raises(Exception, match="refused an instruction"):
        module.run(sample)
    next(tmp_path.glob("*.bin")).write_bytes(b"short")
    with pytest.raises(Exception, match="missing or has another size"):
        module.run(sample)


def test_without_a_device(tmp_path, monkeypatch):
    graph = hosted_nets.two_outputs()
    Board(tmp_path, monkeypatch)
    monkeypatch.setenv("EW_FPGA_REGISTERS", str(tmp_path / "nothing"))
    module = HostModule(deployed(graph, tmp_path), (), lambda symbol, inputs: {})
    with pytest.raises(Exception, match="cannot be mapped"):
        module.run(list(hosted_nets.images(graph)[0].values()))


def test_the_driver_compiles_without_a_warning(tmp_path):
    for compiler in ("gcc", "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"):
        if shutil.which(compiler):
            flags = ["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-O2", "-c", "-o", str(tmp_path / "driver.o")]
            subprocess.run([compiler, *flags, str(DRIVER / "ew_fpga.c")], check=True)


@pytest.mark.parametrize("name", ["aarch64", "armv7"])
def test_other_hosts(tmp_path, name):
    target = host_target(name)
    if shutil.which(target.compiler) is None:
        assert not os.environ.get("CI"), f"{target.compiler} is not installed"
        pytest.skip(
            f"{target.compiler} is not installed; on Debian or Ubuntu run: sudo apt-get install {target.package}"
        )
    graph = hosted_nets.residual()
    parted = split(graph)
    programs = {each.symbol: compile_region(each.region, SMALL) for each in parted.regions}
    glue = make_glue([each.host for each in parted.regions], programs, tmp_path)
    library = build_host(parted, target, tmp_path / "host.so", glue)
    machine = {"aarch64": 183, "armv7": 40}[name]
    assert int.from_bytes(library.read_bytes()[18:20], "little") == machine
