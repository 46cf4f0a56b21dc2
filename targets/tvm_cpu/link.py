"""Compiles the host around the kernels and links library, archive and program, for the device's architecture."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import MissingToolError, ToolCrashError
from targets.execute import run_program
from targets.files import write_bytes
from targets.tvm_cpu.emit import INCLUDE, SOURCES
from targets.tvm_cpu.machine import Machine

LIBRARY, ARCHIVE, PROGRAM, HEADER = "libmodel.so", "libmodel.a", "model", "ew_tvm.h"
_TIMEOUT = 300.0
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror")
_PARTS = ("ew_tvm_model", "ew_tvm_runtime")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Command lines, in order."""

    commands: tuple[tuple[str, ...], ...]


def plan(machine: Machine, work: Path, out: Path) -> Plan:
    """What to run.

    Args:
        machine: names the compiler.
        work: holds ``kernels.o``, ``constants.bin`` and ``plan.cpp``; takes further object files.
        out: takes library, archive and program.
    """
    compiler = machine.compiler
    include = (f"-I{INCLUDE}", f"-ffile-prefix-map={work}=.", f"-ffile-prefix-map={INCLUDE.parent}=tvm_host")
    jobs = [(SOURCES / f"{part}.cpp", work / f"{part}.o") for part in (*_PARTS, "ew_tvm_main")]
    jobs.append((work / "plan.cpp", work / "plan.o"))
    compiles = [(compiler, *_FLAGS, *include, "-c", str(source), "-o", str(made)) for source, made in jobs]
    constants = (compiler, f"-Wa,-I{work}", "-c", str(SOURCES / "ew_tvm_constants.S"), "-o", str(work / "constants.o"))
    parts = [str(work / f"{name}.o") for name in (*_PARTS, "plan", "constants", "kernels")]
    common = ("-static-libstdc++", "-static-libgcc", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-s")
    shown = f"-Wl,--version-script={SOURCES / 'ew_tvm.map'}"
    library = (compiler, "-shared", shown, *common, *parts, "-o", str(out / LIBRARY), "-lm")
    program = (compiler, "-static", *common, *parts, str(work / "ew_tvm_main.o"), "-o", str(out / PROGRAM), "-lm")
    archive = (f"{machine.family.prefix}ar", "rcsD", str(out / ARCHIVE), *parts)
    return Plan((*compiles, constants, library, program, archive))


def link(machine: Machine, work: Path, out: Path) -> None:
    """Run the plan, and put the header beside the library.

    Raises:
        MissingToolError: no compiler for the device's architecture.
        ToolCrashError: it refused.
    """
    tool(machine)
    for command in plan(machine, work, out).commands:
        _run(command)
    write_bytes(out / HEADER, (INCLUDE / HEADER).read_bytes())


def tool(machine: Machine) -> str:
    """Where the C++ compiler is.

    Raises:
        MissingToolError: it is not installed.
    """
    path = shutil.which(machine.compiler)
    if path is None:
        raise MissingToolError(
            f"wanted {machine.compiler} to link a model for {machine.arch}",
            seen="it is not installed",
            next_step=f"run: sudo apt-get install {machine.family.package}",
        )
    return path


@functools.cache
def version(path: str) -> str:
    """The compiler's version number."""
    return run_program([path, "-dumpfullversion"], timeout=60).stdout.strip()


def _run(argv: Sequence[str]) -> None:
    finished = run_program(argv, timeout=_TIMEOUT)
    if finished.status != 0:
        said = [line for line in finished.stderr.splitlines() if "error" in line or "undefined" in line]
        raise ToolCrashError(
            f"{Path(argv[0]).name} refused",
            seen=" | ".join(said[:4]) or finished.stderr.strip()[-400:] or f"exit status {finished.status}",
            next_step="--debug shows more",
        )
