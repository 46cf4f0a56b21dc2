"""What runs next to the engine, alone in its process: ``python -m targets.worker REQUEST``.

The request is JSON on the command line; a folder that it names as ``scratch`` is removed when the parent
is killed before it has an answer, because nobody else will. Answers are JSON lines on standard output (see
``targets/execute.py``); everything that libraries print goes to standard error. The worker ends when
its standard input is closed, so that it never outlives the program that asked.

This module travels to devices inside the runtime zipapp and stays free of Python 3.11 features.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from profiles.device import Power
from profiles.errors import ConfigError, DataError, EdgewrightError, MissingToolError, ToolCrashError
from profiles.meters.registry import find_meter
from profiles.profiler import measure
from profiles.runner import Array, Runner
from profiles.sampling import Settings
from targets.artifact import GOLDEN, Artifact, load_artifact
from targets.files import DISK, output_error
from targets.golden import check_golden, load_golden, save_arrays

Request = Mapping[str, Any]
Say = Callable[[dict[str, Any]], None]


def open_runner(artifact: Artifact, port: str = "", *, emulate: bool = False) -> Runner:
    """The runner of the artifact's target, not yet entered.

    Args:
        artifact: the bundle.
        port: the address of a board behind a cable.
        emulate: compute the outputs without the device's engine, where the target has an emulator.

    Raises:
        ConfigError: the manifest names no proper target.
        MissingToolError: this machine lacks the engine.
    """
    if not re.fullmatch(r"[a-z0-9_]+", artifact.target):
        raise ConfigError("wanted the name of a target", seen=repr(artifact.target))
    try:
        module = importlib.import_module(f"targets.{artifact.target}.{'emulate' if emulate else 'runner'}")
        device = {**artifact.device, "port": port} if port else artifact.device
        runner: Runner = module.open_runner(artifact.folder, artifact.compiled, device)
    except ModuleNotFoundError as error:
        raise MissingToolError(
            f"running a bundle for '{artifact.target}' needs the Python package '{error.name}'",
            seen=f"not installed for {sys.executable}",
            next_step=f"run: pip install 'edgewright[{artifact.target}]', or the engine's own package",
        ) from error
    return runner


def _open(artifact: Artifact, request: Request) -> Runner:
    return open_runner(artifact, request.get("port", ""), emulate=bool(request.get("emulate")))


def save_stacks(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write stacked arrays as ``.npz``; names may hold any character that zip takes.

    Raises:
        OutputError: the place cannot be written, or the disk is full.
    """
    save_arrays(path, arrays)


def run_stack(runner: Runner, inputs: Mapping[str, Array], say: Say) -> dict[str, Array]:
    """One inference per entry of the stacks' first axis; outputs are stacked the same way.

    Raises:
        DataError: there is not a single entry.
    """
    total = min((len(stack) for stack in inputs.values()), default=0)
    if not total:
        raise DataError("wanted at least one sample to run", seen="none")
    collected: list[dict[str, Array]] = []
    for index in range(total):
        collected.append(runner.run({name: stack[index] for name, stack in inputs.items()}))
        if index % 64 == 0:
            say({"event": "progress", "done": index, "total": total})
    return {name: np.stack([outputs[name] for outputs in collected]) for name in collected[0]}


def do_run(request: Request, say: Say) -> dict[str, Any]:
    """Run stacked inputs from one ``.npz`` and write the outputs to another."""
    artifact = load_artifact(Path(request["bundle"]), verify=False)
    with np.load(request["inputs"], allow_pickle=False) as archive:
        inputs = {name: archive[name] for name in archive.files}
    with _open(artifact, request) as runner:
        outputs = run_stack(runner, inputs, say)
        counters = runner.counters() if request.get("counters") else None
    save_stacks(Path(request["outputs"]), outputs)
    return {"executed": dict(counters.executed), "facts": dict(counters.facts)} if counters else {}


def do_verify(request: Request, say: Say) -> dict[str, Any]:
    """Compare this machine's outputs on the golden samples with the recorded ones."""
    artifact = load_artifact(Path(request["bundle"]))
    golden = load_golden(artifact.folder / GOLDEN)
    with _open(artifact, request) as runner:
        outputs = run_stack(runner, golden.inputs, say)
    where = request.get("where", "on this machine")
    return {"golden_error": check_golden(outputs, golden.outputs, artifact.golden["tolerance"], where)}


def do_profile(request: Request, say: Say) -> dict[str, Any]:
    """Measure on the first golden sample."""
    artifact = load_artifact(Path(request["bundle"]))
    sample = load_golden(artifact.folder / GOLDEN).sample(0)
    fields = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{key: value for key, value in request.get("settings", {}).items() if key in fields})
    power = artifact.device.get("power", {})
    meter, reason = find_meter(Power(**{**power, "rails": tuple(power.get("rails", ()))}))
    profile = measure(
        lambda: _open(artifact, request),
        sample,
        settings,
        meter=meter,
        meter_reason=reason,
        progress=lambda done, total: say({"event": "progress", "done": done, "total": total}),
    )
    return {"profile": profile.as_dict(), "files": dict(profile.files)}


Actions = Mapping[str, Callable[[Request, Say], "dict[str, Any]"]]
ACTIONS: Actions = {
    "run": do_run,
    "verify": do_verify,
    "profile": do_profile,
}


def serve(request: Request, say: Say, actions: Actions = ACTIONS) -> int:
    """Carry out one request; errors become an ``error`` event."""
    try:
        if request.get("action") not in actions:
            raise ConfigError("wanted an action", seen=repr(request.get("action")), allowed=", ".join(actions))
        answer = actions[request["action"]](request, say)
    except EdgewrightError as error:
        say({"event": "error", **error.as_dict()})
        return 1
    except Exception as error:
        traceback.print_exc()  # before the answer, because we are ended as soon as it is heard
        sys.stderr.flush()
        say({"event": "error", **_explained(error, request["action"]).as_dict()})
        return 1
    say({"event": "result", **answer})
    return 0


def _explained(error: Exception, action: str) -> EdgewrightError:
    """What an engine raised, in our words: a full disk is the user's to mend, anything else is a crash."""
    if isinstance(error, OSError) and error.errno in DISK:
        return output_error(Path(error.filename or tempfile.gettempdir()), error)
    return ToolCrashError(
        f"the engine failed during '{action}'",
        seen=f"{type(error).__name__}: {error}",
        next_step="try another target, precision or version of the engine; --debug shows more",
    )


def end_with_parent(stream: TextIO, orphaned: Callable[[], None] = lambda: None) -> None:
    """End this process as soon as the parent closes our standard input; ``orphaned`` has the last word."""

    def watch() -> None:
        while stream.read(4096):
            pass
        orphaned()
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main(argv: list[str] | None = None, actions: Actions = ACTIONS) -> int:
    """Entry point: the request is the first argument."""
    request = json.loads((sys.argv[1:] if argv is None else argv)[0])
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever engines print must not mix with our answers
    answered = threading.Event()

    def clear_away() -> None:
        if "scratch" in request and not answered.is_set():
            shutil.rmtree(request["scratch"], ignore_errors=True)

    if request.get("watch", True):
        end_with_parent(sys.stdin, clear_away)

    def say(event: dict[str, Any]) -> None:
        if event["event"] in ("result", "error"):
            answered.set()  # from here on our parent reads what we wrote
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    return serve(request, say, actions)


if __name__ == "__main__":
    sys.exit(main())
