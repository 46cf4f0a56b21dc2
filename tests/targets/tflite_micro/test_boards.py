"""Real boards: nobody has run their firmware, so everything else about it is tested.

Firmware is linked for each board and looked at; the emulated board with the same core computes the same; and the port
runs on this machine against a model of the chip's registers (``board_chips.py``, ``board_machine.c``).
"""

import functools
import os
import struct
import subprocess
import tempfile
from pathlib import Path

import board_chips
import harness
import numpy as np
import pytest
from board_chips import CHIPS

from profiles.device import device_names, load_device
from targets.tflite_micro.device import emulated_device, variant_of
from targets.tflite_micro.emit.source import write_model
from targets.tflite_micro.firmware import flags
from targets.tflite_micro.firmware.build import link
from targets.tflite_micro.firmware.elf import read_elf
from targets.tflite_micro.firmware.sizes import sizes
from targets.tflite_micro.kernels import FIRMWARE, INCLUDE, SOURCES

BOARDS = tuple(CHIPS)
HERE = Path(__file__).parent
GUIDE = HERE.parents[2] / "docs" / "guide" / "boards.md"
KIB = 1024
_SCRATCH = tempfile.TemporaryDirectory(prefix="edgewright-boards-")


@functools.cache
def small_model():
    """A convolution and a dense layer."""
    random = np.random.default_rng(5)
    tensors = [
        harness.tensor((1, 8, 8, 4), scale=0.05, zero_point=3),
        harness.tensor(
            (8, 3, 3, 4), scale=[0.02] * 8, zero_point=[0] * 8, data=random.integers(-127, 128, (8, 3, 3, 4))
        ),
        harness.tensor((8,), "int32", scale=[0.001] * 8, zero_point=[0] * 8, data=random.integers(-900, 900, 8)),
        harness.tensor((1, 8, 8, 8), scale=0.1, zero_point=-128),
        harness.tensor((5, 512), scale=0.01, data=random.integers(-127, 128, (5, 512))),
        harness.tensor((5,), "int32", scale=0.001, data=random.integers(-900, 900, 5)),
        harness.tensor((1, 5), scale=0.6, zero_point=7),
    ]
    conv = {
        "padding": 0,
        "strideH": 1,
        "strideW": 1,
        "dilationHFactor": 1,
        "dilationWFactor": 1,
        "fusedActivationFunction": 1,
    }
    ops = [("CONV_2D", [0, 1, 2], [3], conv), ("FULLY_CONNECTED", [3, 4, 5], [6], {})]
    return harness.tiny(ops, tensors, [0], [6])


@functools.cache
def built(name):
    """The small model's firmware for a board."""
    board = load_device(name)
    program = harness.program_of(small_model(), variant_of(board.cpu.features))
    out = Path(tempfile.mkdtemp(dir=_SCRATCH.name))
    write_model(program, out)
    sources = [
        out / "edgewright_model.c",
        *(SOURCES / file for file in sorted({s for c in program.calls for s in c.sources})),
    ]
    return link(sources, [out, INCLUDE], board, out, cache=Path(_SCRATCH.name))


def memory_at(board, address, size):
    """The memory that holds a range, or None."""
    return next((m for m in board.memories if m.base <= address and address + size <= m.base + m.size), None)


# --- what is linked ------------------------------------------------------------------------------


def test_every_board_behind_a_cable_is_tested_here():
    serial = [name for name in device_names() if load_device(name).reach == "serial"]
    assert [name for name in serial if "tflite_micro" in load_device(name).targets] == sorted(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_sections_lie_in_the_boards_memories(name):
    board, elf = load_device(name), read_elf(built(name).elf)
    for section in elf.sections:
        if section.loaded and section.size:
            memory = memory_at(board, section.address, section.size)
            assert memory is not None, (
                f"{section.name} at 0x{section.address:08X}, {section.size} bytes, is in no memory"
            )
            assert memory.kind == ("ram" if section.writable else "flash"), f"{section.name} is in {memory.name}"


@pytest.mark.parametrize("name", BOARDS)
def test_the_vectors_are_where_the_core_looks_after_reset(name):
    board, firmware = load_device(name), built(name)
    flash = next(memory for memory in board.memories if memory.kind == "flash")
    elf = read_elf(firmware.elf)
    assert elf.address("vectors") == flash.base, "in front of everything else in flash"
    stack, *handlers = struct.unpack_from("<16I", firmware.bin.read_bytes())
    assert stack % 8 == 0
    assert memory_at(board, stack - 8, 8).kind == "ram", f"the stack begins at 0x{stack:08X}"
    assert all(handler & 1 for handler in handlers), "all handlers are Thumb code"
    code = next(section for section in elf.sections if section.name == ".text")
    assert all(code.address < handler < code.address + code.size for handler in handlers)
    assert handlers[0] == elf.address("ew_reset") | 1
    (entry,) = struct.unpack_from("<I", firmware.elf.read_bytes(), 24)
    assert entry == handlers[0], "a debugger starts where the core does"


@pytest.mark.parametrize("name", BOARDS)
def test_the_hex_file_begins_where_flash_begins(name):
    first = bytes.fromhex(built(name).hex.read_text().splitlines()[0][1:])
    upper = int.from_bytes(first[4:6], "big") << 16 if first[3] == 4 else 0
    flash = next(memory for memory in load_device(name).memories if memory.kind == "flash")
    assert upper == flash.base


@pytest.mark.parametrize("name", BOARDS)
def test_code_is_small(name):
    found = sizes(built(name).elf)
    assert found["code"] < 10 * KIB, f"{found['code']} bytes of code: {found}"


def test_the_boot_rom_of_the_rp2350_finds_its_block():
    """RP2350 Datasheet, section 5.9.5.1."""
    image = built("rp2350").bin.read_bytes()
    words = struct.unpack_from(f"<{min(len(image), 4096) // 4}I", image)
    at = [place for place, word in enumerate(words) if word == 0xFFFFDED3]
    assert len(at) == 1, f"one block in the first 4 KiB, seen at {at}"
    assert words[at[0] : at[0] + 5] == (0xFFFFDED3, 0x10210142, 0x000001FF, 0, 0xAB123579)
    assert at[0] * 4 >= 64, "behind the vectors"


@pytest.mark.parametrize("name", [name for name in BOARDS if name != "rp2350"])
def test_no_other_board_has_that_block(name):
    assert struct.pack("<I", 0xFFFFDED3) not in built(name).bin.read_bytes()


# --- what stands in for the board ----------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_the_emulated_board_has_the_same_core(name):
    board, twin = load_device(name), emulated_device(load_device(name))
    assert twin != board
    assert twin.reach == "qemu"
    assert flags.core_flags(twin) == flags.core_flags(board), "the same code would not run on both"
    assert (twin.cpu.arch, set(twin.cpu.features)) == (board.cpu.arch, set(board.cpu.features))
    assert twin.parameters["cycles"] == board.parameters["cycles"], "cycles are those of the core"


def test_emulated_boards_compute_what_the_reference_computes():
    twins = sorted({emulated_device(load_device(name)).name for name in BOARDS})
    harness.check(small_model(), count=16, variants=(), devices=twins)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_that_nobody_ran_says_so(name):
    assert "built, not run" in load_device(name).title
    port = flags.port_sources(load_device(name))[-1]
    assert "Built, not run." in (FIRMWARE / port).read_text(), f"{port} does not say that nobody has run it"
    assert f"`{name}`" in GUIDE.read_text(), "the guide says how to flash it"


# --- what the port writes ------------------------------------------------------------------------


class Machine:
    """A port on this machine, with a chip's registers as memory."""

    def __init__(self, name):
        self.chip, self.binary = CHIPS[name], _machine(name)
        self.orders = [f"map 0x{page:X} 4096" for page in self.chip.pages]
        self.reads = []
        for register, value in self.chip.reset.items():
            self.set(register, value)
        for conditions, effect in self.chip.rules:
            bits = " ".join(self.bits(part) for part in (*conditions, effect))
            self.orders.append(f"rule {len(conditions)} {bits}")
        core = board_chips.CORE
        self.orders.append(f"count 0x{core['DWT_CYCCNT']:X} 0x{core['DWT_CTRL']:X} 1")

    def bits(self, part):
        register, mask, value = part
        return f"0x{self.chip.registers[register]:X} 0x{mask:X} 0x{value:X}"

    def set(self, register, value):
        self.orders.append(f"set 0x{self.chip.registers[register]:X} 0x{value:X}")

    def order(self, word):
        """An order; those that answer are remembered under their words."""
        self.orders.append(word)
        if word in ("getc", "ticks"):
            self.reads.append(word)

    def run(self):
        """Carry out all orders, and give all registers and answers by name."""
        names = list(self.chip.registers)
        orders = [*self.orders, *(f"get 0x{self.chip.registers[name]:X}" for name in names)]
        try:
            done = subprocess.run(
                [self.binary], input="\n".join(orders), capture_output=True, text=True, timeout=20, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.fail("the port waits for something that the chip never answers")
        assert done.returncode == 0, f"the port touches what is no register ({done.returncode})"
        return dict(zip([*self.reads, *names], map(int, done.stdout.split()), strict=True))


@functools.cache
def _machine(name):
    board = load_device(name)
    out = Path(_SCRATCH.name) / f"machine-{name}"
    parts = [HERE / "board_machine.c", *(FIRMWARE / source for source in flags.port_sources(board))]
    includes = [word for path in parts for word in ("-include", str(path))]
    argv = ["gcc", "-O1", "-w", *flags.port_flags(board), *includes, "-x", "c", os.devnull, "-pthread", "-o", str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"gcc refuses the port:\n{done.stderr[-2000:]}"
    return out


def holds(registers, bits):
    register, mask, value = bits
    assert registers[register] & mask == value, (
        f"{register} is 0x{registers[register]:X}: wanted 0x{value:X} of 0x{mask:X}"
    )


@functools.cache
def started(name):
    machine = Machine(name)
    machine.order("init")
    machine.order("ticks")
    return machine.run()


@pytest.mark.parametrize("name", BOARDS)
def test_the_core_runs_as_fast_as_the_profile_says(name):
    assert CHIPS[name].core(started(name)) == load_device(name).cpu.clock


@pytest.mark.parametrize("name", BOARDS)
def test_the_serial_line_is_at_115200_baud_on_the_right_pins(name):
    registers = started(name)
    assert abs(CHIPS[name].baud(registers) / 115200 - 1) < 0.001, f"{CHIPS[name].baud(registers)} baud"
    for bits in CHIPS[name].pins:
        holds(registers, bits)


@pytest.mark.parametrize("name", BOARDS)
def test_ticks_are_cycles_of_the_core(name):
    registers = started(name)
    holds(registers, ("DEMCR", 1 << 24, 1 << 24))
    holds(registers, ("DWT_CTRL", 1, 1))
    assert registers["ticks"] <= registers["DWT_CYCCNT"]


@pytest.mark.parametrize("name", BOARDS)
def test_bytes_go_out_and_come_in(name):
    chip, machine = CHIPS[name], Machine(name)
    for register, _, value in chip.ready:
        machine.set(register, value)
    machine.order("init")
    machine.order("putc 0x5A")
    assert machine.run()[chip.sent] & 0xFF == 0x5A
    machine = Machine(name)
    machine.order("init")
    for register, _, value in chip.ready:
        machine.set(register, value)
    machine.set(chip.received, 0xA7)
    machine.order("getc")
    assert machine.run()["getc"] == 0xA7


@pytest.mark.parametrize("name", BOARDS)
def test_an_overrun_does_not_stop_the_line(name):
    chip, machine = CHIPS[name], Machine(name)
    machine.order("init")
    shown, cleared = chip.trouble
    machine.set(chip.received, 0)
    for register, _, value in shown:
        machine.set(register, value | (0x41 if register == chip.received else 0))
    machine.order("getc")
    registers = machine.run()
    for bits in cleared:
        holds(registers, bits)


def test_revision_y_of_the_stm32h743_reads_its_sram_with_care():
    machine = Machine("stm32h743")
    machine.set("DBGMCU_IDCODE", 0x10036450)
    machine.order("init")
    assert machine.run()["AXI_TARG7_FN_MOD"] == 1
    assert started("stm32h743")["AXI_TARG7_FN_MOD"] == 0, "revision V needs no such thing"
