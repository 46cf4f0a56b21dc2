"""Carries out a plan once, and keeps what came of it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import EdgewrightError, MissingToolError, ToolCrashError, UnsupportedError
from targets.execute import converse, python_argv
from targets.files import write_bytes, write_json
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.verilate import default_cache
from targets.tvm_fpga.synth.part import part_of
from targets.tvm_fpga.synth.plan import REPORT, Plan, Step, plan_ecp5
from targets.tvm_fpga.synth.reports import timing
from targets.tvm_fpga.synth.result import Synthesis
from targets.tvm_fpga.synth.stages import errors, too_many

#: Called with a tool's title and what it does now.
Progress = Callable[[str, str], None]
KEPT = "synthesis.json"
#: A large array on a busy machine takes most of an hour.
_TIMEOUT = 4 * 3600.0


def _quiet(tool: str, stage: str) -> None:
    """Nobody listens."""


def versions(plan: Plan) -> dict[str, str]:
    """The tools' packages and their versions.

    Raises:
        MissingToolError: one is not installed.
    """
    found = {}
    for step in plan.steps:
        name = step.package.replace("_", "-")
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingToolError(
                f"wanted {name} for {step.title}", seen="it is not installed", next_step=f"pip install {name}"
            ) from error
    return found


def default_folder() -> Path:
    """``synth`` beside the built simulators in Edgewright's cache."""
    return default_cache().with_name("synth")


def synthesize(
    geometry: Geometry, parameters: Mapping[str, Any], folder: Path | None = None, progress: Progress = _quiet
) -> Synthesis:
    """Synthesize, place and route the accelerator for an ECP5; an equal call before is not repeated.

    Args:
        geometry: of the array.
        parameters: ``[parameters]`` of the device profile: ``part``, ``package``, ``speed_grade``, ``clock_goal``, and
            ``seed`` of the placement.
        folder: where results are kept, each in a folder of its own with sources, logs and the configuration of the
            device; by default in Edgewright's cache.
        progress: is told what the tools do.

    Raises:
        ConfigError, MissingToolError, UnsupportedError, ToolCrashError, OutputError: see :func:`carry_out`.
    """
    plan = plan_ecp5(geometry, part_of(parameters), seed=int(parameters.get("seed", 1)))
    return carry_out(plan, folder or default_folder(), progress)


def carry_out(plan: Plan, folder: Path, progress: Progress = _quiet) -> Synthesis:
    """Run the plan's tools, or read what an equal plan left.

    Raises:
        MissingToolError: a tool's package is not installed.
        UnsupportedError: it does not fit into the device: the error names the resource.
        ToolCrashError: a tool refused, or found no routing.
        OutputError: the folder cannot be written.
    """
    tools = versions(plan)
    digest = plan.digest(tools)
    place = folder / digest
    if (kept := read(place)) is not None:
        return kept
    for name, content in plan.files.items():
        write_bytes(place / name, content)
    begun = time.monotonic()
    for step in plan.steps:
        _run(step, place, plan, progress)
    fmax, path, usages = timing(_text(place / REPORT))
    seconds = time.monotonic() - begun
    made = Synthesis(
        plan.part.name, plan.part.clock, fmax, critical_path=path, tools=tools, digest=digest, seconds=seconds, **usages
    )
    write_json(place / KEPT, made.as_dict())
    return made


def read(place: Path) -> Synthesis | None:
    """The result in a folder; None where there is none that can be read."""
    try:
        return Synthesis.from_dict(json.loads((place / KEPT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _run(step: Step, place: Path, plan: Plan, progress: Progress) -> None:
    request = {
        "folder": str(place), "package": step.package, "call": step.call, "arguments": step.arguments, "log": step.log,
    }  # fmt: skip
    argv = python_argv("targets.tvm_fpga.synth.worker", json.dumps(request))
    progress(step.title, "starting")
    result = converse(
        argv, lambda event: progress(step.title, str(event["stage"])), timeout=_TIMEOUT, env=_our_modules()
    )
    if result["status"] != 0:
        raise _refusal(step, place, plan)


def _our_modules() -> dict[str, str]:
    """The worker finds our packages where we found them, whatever the working folder is."""
    root = str(Path(__file__).resolve().parents[3])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}


def _refusal(step: Step, place: Path, plan: Plan) -> EdgewrightError:
    """Why a tool gave up."""
    log = _text(place / step.log)
    if over := too_many(log):
        return UnsupportedError(
            f"an array of {plan.geometry.lanes} lanes does not fit into {plan.part.name}",
            seen="; ".join(usage.text() for usage in over),
            allowed="; ".join(f"{usage.available:,} {usage.name}" for usage in over),
            next_step="choose fewer lanes or shallower memories in [parameters] of the device profile",
        )
    return ToolCrashError(
        f"{step.title} for {plan.part.name} failed",
        seen=" | ".join(errors(log)) or "no reason given",
        next_step=f"read {place / step.log}",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolCrashError(f"wanted {path.name}, which the tools write", seen=error.strerror or str(error)) from error
