"""Runs TensorRT-RTX's compiler in a process of its own: ``python -m targets.tensorrt.compiler.compile_worker REQUEST``.

A model from elsewhere may crash a compiler; then this process ends, and the build gets an error. And equal models give
equal engines in a new process only: after a build that failed, the next one in the same process may hold more kernels
(seen with TensorRT-RTX 1.7).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from targets import execute
from targets.artifact import sha256
from targets.execute import Event
from targets.files import write_bytes
from targets.tensorrt.compiler.builder import Answer, ask_parser, build_engine
from targets.tensorrt.compiler.library import library, library_version
from targets.tensorrt.compiler.messages import Fault
from targets.tensorrt.compiler.origin import Origins
from targets.tensorrt.plan import BuildPlan
from targets.tensorrt.store.engine_shipped import onnx_path
from targets.worker import Say
from targets.worker import main as worker_main

#: Seconds. Some graphs never finish and fill the memory meanwhile.
LIMIT = 300.0


@dataclasses.dataclass(frozen=True)
class Made:
    """What was compiled: the library's version, and by batch size what it warned of."""

    version: str
    notes: Mapping[int, tuple[str, ...]]


def compile_apart(folder: Path, plan: BuildPlan) -> Made:
    """Compile the engines of all batch sizes from the graphs in ``folder``, into files there.

    Raises:
        MissingToolError, UnsupportedError, ModelError, ToolCrashError: as :func:`build_engine`.
        VerificationError: a graph is missing.
        OutputError: an engine cannot be written.
    """
    event = _ask({"action": "compile", "folder": str(folder), "plan": plan.as_dict()}, plan)
    return Made(event["version"], {int(batch): tuple(notes) for batch, notes in event["notes"].items()})


def ask_apart(path: Path, plan: BuildPlan) -> Answer:
    """What the parser of the plan's library says of an ONNX file; asked once for all precisions of one model.

    Raises:
        MissingToolError, ToolCrashError: as :func:`ask_parser`.
    """
    return _asked(path, sha256(path), dataclasses.replace(plan, precision="fp32"))


@functools.lru_cache(maxsize=64)
def _asked(path: Path, digest: str, plan: BuildPlan) -> Answer:
    event = _ask({"action": "ask", "path": str(path), "plan": plan.as_dict()}, plan)
    faults = tuple(Fault(**{**fault, "stack": tuple(fault["stack"])}) for fault in event["faults"])
    return Answer(event["version"], faults, tuple(event["warnings"]))


def _ask(request: Mapping[str, Any], plan: BuildPlan) -> Event:
    doing = {"compile": "compiling", "ask": "reading"}[request["action"]]
    title = library(plan.library).title
    explain = functools.partial(execute.crash, f"{title}, while {doing} the model,")
    late = UnsupportedError(
        f"{title} was {doing} the model",
        seen=f"it had not finished after {LIMIT:g} s, and was stopped",
        next_step="try another precision or number of layers in it; large networks take less than ten seconds",
    )
    argv = execute.python_argv(__name__, json.dumps(request))
    return execute.converse(argv, explain=explain, timeout=LIMIT, late=late)


def do_compile(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """In the child: one engine after the other."""
    folder, plan = Path(request["folder"]), BuildPlan.from_dict(request["plan"])
    notes = {}
    for batch in plan.batches:
        path = onnx_path(folder, plan, batch)
        built = build_engine(path.read_bytes(), plan, batch, locate=Origins(path))
        write_bytes(folder / plan.engine_name(batch), built.engine)
        notes[batch] = list(built.notes)
    return {"version": library_version(plan.library), "notes": notes}


def do_ask(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """In the child: parse and compile nothing."""
    answer = ask_parser(Path(request["path"]).read_bytes(), BuildPlan.from_dict(request["plan"]))
    return dataclasses.asdict(answer)


if __name__ == "__main__":
    sys.exit(worker_main(actions={"compile": do_compile, "ask": do_ask}))
