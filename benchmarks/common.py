"""What the benchmarks share: the models, where results go, and the machine's description."""

from __future__ import annotations

import dataclasses
import datetime
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from profiles.errors import DataError
from profiles.machine import describe, snapshot
from targets.registry import installed_version

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
WEIGHTS = ROOT / "examples" / "weights" / "resnet8_cifar10.safetensors"
CIFAR = ROOT.parent / "shared" / "data" / "cifar10"
ENGINES = ("onnxruntime", "openvino", "litert")


def cifar_folder() -> Path:
    """Where the CIFAR-10 parquet files lie.

    Raises:
        DataError: they are not there.
    """
    if not (CIFAR / "test.parquet").is_file():
        raise DataError(
            "this benchmark needs CIFAR-10 as parquet files", seen=f"none in {CIFAR}", next_step="put them there"
        )
    return CIFAR


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def middle(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def span(ratio: dict[str, float], digits: int = 2) -> str:
    """``1.52 (1.49-1.55)``."""
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f}–{ratio['high']:.{digits}f})"


def conditions() -> dict[str, Any]:
    """When, where and with what."""
    tools = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "ai-edge-litert", "ai-edge-quantizer", "litert-torch")
    state = snapshot()
    return {
        "date": datetime.date.today().isoformat(),
        "machine": describe(state),
        "load": list(state.load) if state.load else None,
        "tools": {name: installed_version(name) for name in tools},
    }


@dataclasses.dataclass(frozen=True)
class Table:
    """What a result page shows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def write(name: str, title: str, claim: str, shown: Table, data: Any) -> None:
    """Write ``docs/results/NAME.md`` and ``NAME.json``, and print the table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    facts = conditions()
    tools = ", ".join(f"{tool} {version}" for tool, version in facts["tools"].items() if version)
    table = [f"| {' | '.join(row)} |" for row in [shown.columns, ["---"] * len(shown.columns), *shown.rows]]
    lines = [
        f"# {title}",
        "",
        claim,
        "",
        *table,
        "",
        *[f"- {note}" for note in shown.notes],
        f"- Measured on {facts['machine']}, {facts['date']}, one thread per engine, batch 1.",
        f"- {tools}.",
        f"- Command: `python -m benchmarks {name}` (or `make bench`).",
        "",
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps({**facts, "results": data}, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table))
