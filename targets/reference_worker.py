"""Runs a model file with its reference engine in a process of its own: ``python -m targets.reference_worker REQUEST``.

A file from elsewhere may crash an engine; then this process ends, and the build gets an error. The
request names the file (``path``, ``channel_last``) and two ``.npz`` files with stacked inputs and outputs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ModelError, ToolCrashError
from profiles.runner import Array, Arrays
from targets import execute
from targets.base import ExportedModel
from targets.worker import main as worker_main
from targets.worker import save_stacks


def run_reference_apart(model: ExportedModel, stacked: Arrays) -> tuple[dict[str, Array], str]:
    """Reference outputs for stacked canonical inputs, computed in a child process, and how they were computed.

    Raises:
        ModelError: the engine refuses the file, or crashes on it.
    """
    path = model.onnx or model.tflite
    assert path is not None
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        given, got = Path(scratch) / "inputs.npz", Path(scratch) / "outputs.npz"
        save_stacks(given, dict(stacked))
        request = {
            "action": "reference",
            "path": str(path),
            "channel_last": list(model.tflite_channel_last) if model.onnx is None else [],
            "inputs": str(given),
            "outputs": str(got),
            "scratch": scratch,
        }
        try:
            event = execute.converse(execute.python_argv("targets.reference_worker", json.dumps(request)))
        except ToolCrashError as error:
            raise ModelError(
                f"wanted to run {path.name} with its reference engine",
                seen=error.seen or str(error),
                next_step="export or download the model again",
            ) from error
        with np.load(got, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}, str(event["description"])


def do_reference(request: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run every sample of the stacks."""
    from targets.reference import OnnxReference, TfliteReference

    path = Path(request["path"])
    engine = OnnxReference(path) if path.suffix == ".onnx" else TfliteReference(path, request["channel_last"])
    with np.load(request["inputs"], allow_pickle=False) as archive:
        stacks = {name: archive[name] for name in archive.files}
    total = len(next(iter(stacks.values())))
    rows = [engine.run({name: values[index] for name, values in stacks.items()}) for index in range(total)]
    save_stacks(Path(request["outputs"]), {name: np.stack([row[name] for row in rows]) for name in rows[0]})
    return {"description": engine.description}


if __name__ == "__main__":
    sys.exit(worker_main(actions={"reference": do_reference}))
