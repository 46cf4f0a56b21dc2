"""The generated C++ around the kernels: which of them runs on which values, and where these lie."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from targets.tvm_cpu.kernels import symbol
from targets.tvm_cpu.program import Program

_TARGETS = Path(__file__).resolve().parents[1]


def _root() -> Path:
    """Beside the packages in a checkout, ``targets/kernels`` once installed."""
    installed = _TARGETS / "kernels" / "tvm_host"
    return installed if installed.is_dir() else _TARGETS.parent / "kernels" / "tvm_host"


ROOT = _root()
INCLUDE, SOURCES, TEMPLATES = ROOT / "include", ROOT / "src", ROOT / "templates"


def plan_source(name: str, program: Program) -> str:
    """The filled template ``ew_tvm_plan.cpp.j2``."""
    steps: list[dict[str, Any]] = []
    arguments: list[int] = []
    for step in program.steps:
        row = {"name": step.name, "symbol": symbol(step.kernel), "first": len(arguments), "count": len(step.arguments)}
        steps.append(row)
        arguments += step.arguments
    text: str = _template().render(
        name=" ".join(name.split()),
        symbols=sorted({row["symbol"] for row in steps}),
        values=program.values,
        steps=steps,
        arguments=arguments,
        inputs=program.inputs,
        outputs=program.outputs,
        arena=program.arena,
    )
    return text


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("ew_tvm_plan.cpp.j2")
