"""Counts the instructions that firmware executes under QEMU: in total, by class, and for every layer.

With a C compiler for this machine, and a QEMU that takes plugins, ``kernels/cortex_m/plugin/ew_count.c`` counts
exactly. Without, SysTick does: under ``-icount shift=0`` an instruction takes one virtual nanosecond.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import ToolCrashError, VerificationError
from targets.execute import run_program
from targets.processes import Leash
from targets.tflite_micro.emulate import qemu
from targets.tflite_micro.emulate.session import Session, emulate
from targets.tflite_micro.firmware.build import Firmware
from targets.tflite_micro.firmware.elf import read_elf
from targets.tflite_micro.kernels import ROOT

PLUGIN = ROOT / "plugin" / "ew_count.c"
_MARK = "ew_mark"
#: What QEMU says to a plugin that was built for another plugin interface.
_OTHER_INTERFACE = "requires API version"
#: Columns of the plugin's table that are not classes of instructions but say more of them.
_DETAILS = ("words", "paired", "taken")
#: What the firmware calls, marks and counts: before main, preparing the port, init, and then each timed call, with
#: what happens between.
_STARTUP, _INIT, _FIRST = 0, 2, 4


@dataclasses.dataclass(frozen=True)
class Tally:
    """Instructions by class; ``any`` alone where classes are not known."""

    classes: Mapping[str, int]

    @property
    def total(self) -> int:
        """All instructions. A call, two marks and a return, some ten of them, are the firmware's."""
        return sum(count for name, count in self.classes.items() if name not in _DETAILS)

    @property
    def mve(self) -> int | None:
        """Vector instructions (Helium) among them; None where classes are not known."""
        if "any" in self.classes:
            return None
        return sum(count for name, count in self.classes.items() if name.startswith("mve"))

    def __add__(self, other: Tally) -> Tally:
        names = {**self.classes, **other.classes}
        return Tally({name: self.classes.get(name, 0) + other.classes.get(name, 0) for name in names})


@dataclasses.dataclass(frozen=True)
class Counts:
    """What was executed.

    Attributes:
        startup: from reset to main: copying .data, clearing .bss. None where only SysTick counted.
        init: ``edgewright_model_init``.
        run: one inference; layers: the same, layer by layer.
        method: how it was counted, in words.
    """

    startup: Tally | None
    init: Tally
    run: Tally
    layers: tuple[Tally, ...]
    method: str


def count(
    firmware: Firmware | Path,
    device: Device,
    inputs: Sequence[bytes],
    *,
    timeout: float = 600.0,
    leash: Leash | None = None,
) -> Counts:
    """Run one inference twice, the second time layer by layer, and count.

    Args:
        firmware: a build, or an ELF file.
        device: gives the emulated machine.
        inputs: raw bytes of each input.
        timeout: seconds for one inference.
        leash: ends the emulator when it is cut.

    Raises:
        MissingToolError, ToolCrashError, UnreachableError: see :func:`emulate`.
        VerificationError: plugin and SysTick do not agree.
    """
    elf = firmware if isinstance(firmware, Path) else firmware.elf
    machine = f"{qemu.version()} ({device.parameters['qemu_machine']})"
    with tempfile.TemporaryDirectory(prefix="edgewright-count-") as name:
        plugin, out = build_plugin(Path(name)), Path(name) / "counts.json"
        vectors = "" if "mve" in device.cpu.features else ",mve=off"
        words = f"{plugin},mark={read_elf(elf).address(_MARK):#x},out={out}{vectors}" if plugin else ""
        try:
            with emulate(firmware, device, plugin=words, timeout=timeout, leash=leash) as session:
                ticks = _ticks(session, inputs)
            return _exact(_read(out), ticks, machine) if plugin else _coarse(ticks, machine)
        except ToolCrashError as error:
            if not plugin or _OTHER_INTERFACE not in error.seen:
                raise
    with emulate(firmware, device, timeout=timeout, leash=leash) as session:
        return _coarse(_ticks(session, inputs), machine)


def _ticks(session: Session, inputs: Sequence[bytes]) -> _Ticks:
    run, layers = session.run(inputs).ticks, session.layers(inputs)
    return _Ticks(session.reset(), run, layers, 1e9 / session.info.tick_hz)


@dataclasses.dataclass(frozen=True)
class _Ticks:
    init: int
    run: int
    layers: tuple[int, ...]
    per_tick: float


def build_plugin(folder: Path) -> Path | None:
    """Compile the plugin into a folder; None where this machine has no C compiler, or QEMU takes no plugins.

    Raises:
        ToolCrashError: the compiler refuses it.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not _takes_plugins(qemu.program()):
        return None
    made = folder / "ew_count.so"
    flags = ["-shared", "-fPIC", "-O2", "-fvisibility=hidden", f"-DEW_PLUGIN_API={_interface(qemu.version())}"]
    finished = run_program([compiler, *flags, "-o", str(made), str(PLUGIN)], timeout=120)
    if finished.status != 0:
        raise ToolCrashError(f"{compiler} refuses {PLUGIN.name}", seen=finished.stderr.strip()[-400:])
    return made


def _interface(version: str) -> int:
    """The plugin interface of a QEMU: 1, and from version 9.1 on 3; 9.0 has one that is not known here."""
    major = re.search(r"(\d+)\.", version)
    return 3 if major and int(major[1]) >= 9 else 1


@functools.cache
def _takes_plugins(program: str) -> bool:
    return "-plugin" in run_program([program, "--help"], timeout=60).stdout


def _read(out: Path) -> list[Tally]:
    """The plugin's table.

    Raises:
        ToolCrashError: there is none.
    """
    try:
        table: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolCrashError("the instruction counter left no result", seen=str(error)) from error
    return [Tally({name: n for name, n in zip(table["classes"], row, strict=True) if n}) for row in table["phases"]]


def _exact(phases: list[Tally], ticks: _Ticks, machine: str) -> Counts:
    timed = phases[_FIRST::2]
    layers = tuple(timed[1 : 1 + len(ticks.layers)])
    seen, wanted = ticks.run * ticks.per_tick, timed[0].total
    if abs(seen - wanted) > 3 * ticks.per_tick:
        raise VerificationError(
            "two ways of counting instructions do not agree", seen=f"plugin {wanted}, SysTick {seen:.0f}"
        )
    method = f"{machine}, TCG plugin; SysTick agrees within {3 * ticks.per_tick:.0f}"
    return Counts(phases[_STARTUP], phases[_INIT], timed[0], layers, method)


def _coarse(ticks: _Ticks, machine: str) -> Counts:
    def tally(n: int) -> Tally:
        return Tally({"any": round(n * ticks.per_tick)})

    method = f"{machine}, SysTick under -icount shift=0, in steps of {ticks.per_tick:g} instructions"
    return Counts(None, tally(ticks.init), tally(ticks.run), tuple(map(tally, ticks.layers)), method)
