"""Latencies of all compressed models in one interleaved run per engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, say
from benchmarks.compress_jobs import INPUT, Site
from benchmarks.compress_rows import Row
from profiles.errors import EdgewrightError

#: Engine to the format that it reads; all run float32 with one thread.
ENGINES = {"onnxruntime": "onnx", "openvino": "onnx", "litert": "tflite"}


def measure_all(rows: Sequence[Row], site: Site, rounds: int) -> dict[str, Any]:
    """Export what is not exported yet, and measure every engine; the figures go to ``latency.json``."""
    there = [row for row in rows if site.model(row).exists()]
    for row in there:
        for form in dict.fromkeys(ENGINES.values()):
            export(row, site, form)
    found = {engine: clocked(engine, there, site, rounds) for engine in ENGINES}
    (site.out / "latency.json").write_text(json.dumps(found, indent=1))
    return found


def file_of(row: Row, site: Site, form: str) -> Path:
    """The exported file of a row."""
    return site.out / "exports" / f"{row.name}.{form}"


def export(row: Row, site: Site, form: str) -> None:
    """Write the row's model as a file, unless that was done or refused before."""
    path = file_of(row, site, form)
    refused = path.with_suffix(f".{form}.refused")
    newest = site.model(row).stat().st_mtime
    if any(each.exists() and each.stat().st_mtime > newest for each in (path, refused)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    say(f"export {row.name} to {form}")
    try:
        import torch

        write_file(torch.load(site.model(row), weights_only=False), INPUT.shape, path)
    except EdgewrightError as error:
        refused.write_text(str(error))
        say(f"{row.name}: {error}")


def write_file(model: Any, shape: tuple[int, ...], path: Path) -> None:
    """Export a module in float32, in the format that the path's suffix names."""
    import numpy as np

    from toolchain.export.onnx import export_onnx
    from toolchain.export.tflite import export_tflite

    sample = {"input": np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
    (export_onnx if path.suffix == ".onnx" else export_tflite)(model.float().eval(), sample, path)


def clocked(engine: str, rows: Sequence[Row], site: Site, rounds: int) -> dict[str, list[float]]:
    """Median seconds of every row in every round; the engine has a process of its own."""
    files = {row.name: file_of(row, site, ENGINES[engine]) for row in rows}
    return clock(engine, {name: (str(path), INPUT.shape, 10) for name, path in files.items() if path.exists()}, rounds)


def clock(engine: str, files: Mapping[str, tuple[str, Sequence[int], int]], rounds: int) -> dict[str, list[float]]:
    """The same of files with their input shape and number of outputs."""
    say(f"{engine}: {len(files)} models, {rounds} rounds")
    command = [sys.executable, "-m", "benchmarks.compress_clock", engine, str(rounds)]
    done = subprocess.run(command, input=json.dumps(files), capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{engine}: {done.stderr[-2000:]}")
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found
