"""The library for any board: the model's C, the kernels that it calls, a CMake file, and a page on how to use it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from targets.tflite_micro.emit.source import template, write_model
from targets.tflite_micro.kernels import INCLUDE, SOURCES
from targets.tflite_micro.program import Program

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def sources_of(program: Program) -> list[Path]:
    """The kernels' C files that a program calls, sorted."""
    return [SOURCES / name for name in sorted({source for call in program.calls for source in call.sources})]


def headers_of(paths: Iterable[Path]) -> list[Path]:
    """The headers that C files need, headers of headers included, sorted."""
    found: dict[str, Path] = {}
    waiting = list(paths)
    while waiting:
        for name in _INCLUDE.findall(waiting.pop().read_text(encoding="utf-8")):
            path = INCLUDE / name
            if name not in found and path.is_file():
                found[name] = path
                waiting.append(path)
    return [found[name] for name in sorted(found)]


def write_library(program: Program, out: Path, facts: Mapping[str, Any]) -> list[Path]:
    """Write the library below ``out``: all files, relative to it, sorted.

    ``facts`` are what the templates print beside the program: ``version``, ``sha256`` of the TFLite file, ``mcpu``.
    """
    kernels = out / "kernels"
    kernels.mkdir(parents=True)
    sources = sources_of(program)
    model = write_model(program, out, dict(facts))
    for path in [*sources, *headers_of([*sources, *model])]:
        shutil.copyfile(path, kernels / path.name)
    view = {"program": program, "facts": facts, "sources": [path.name for path in sources]}
    for name in ("CMakeLists.txt", "README.md"):
        (out / name).write_text(template(f"library_{name}.j2").render(view), encoding="utf-8")
    return sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
