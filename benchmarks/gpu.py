"""Engines for NVIDIA GPUs: what they take where there is a GPU, and what the compiler plans where there is none.

``python -m benchmarks.gpu`` takes options: some models alone, another folder, the time for one measurement.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import gpu_rows as rows
from benchmarks.common import RESULTS, conditions, say
from benchmarks.gpu_page import page
from benchmarks.gpu_results import PRECISIONS, Results, missed
from profiles.errors import EdgewrightError
from targets.registry import installed_version

_COMPILES = "Every model compiles for SM 8.0, 8.6, 8.9, 12.0 and 12.1 in fp32, fp16 and int8 on a machine without a GPU"
_AGREES = "on a GPU, energy by the counter and by sampled power agree within 5 %"
_UNKNOWN = "no GPU was at hand, so that nothing was measured"
#: What is shown where there is a GPU.
CLAIM = f"{_COMPILES}; {_AGREES}."
_BASELINE = ("fp32", "fp16")


@dataclasses.dataclass(frozen=True)
class Options:
    """Which models, where results go, and seconds of one measurement."""

    models: Sequence[str] = tuple(rows.MODELS)
    out: Path = RESULTS
    seconds: float = 1.0


def run(rounds: int, options: Options | None = None) -> list[str]:
    """Measure where there is a GPU, compile in any case, and write the page after every model; returns missed goals.

    ``rounds`` is not used: all samples of a bundle come from one run.
    """
    chosen = options or Options()
    found = Results(_conditions(), *_gpu())
    say(f"GPU: {found.gpu['name'] if found.gpu else found.no_gpu}")
    with tempfile.TemporaryDirectory(prefix="edgewright-gpu-") as folder:
        for model in chosen.models:
            say(model)
            device = rows.device_for(_capability(found))
            found = _with_model(found, rows.Job(model, device, Path(folder) / model, chosen.seconds))
            _write(found, chosen.out)
    return missed(found)


def _conditions() -> dict[str, Any]:
    """When, where and with what; these engines' packages among it."""
    facts = conditions()
    tools = {name: installed_version(name) for name in ("tensorrt-rtx-cu13", "tensorrt", "onnxruntime-gpu")}
    return {**facts, "tools": {**tools, **facts["tools"]}}


def _gpu() -> tuple[dict[str, Any] | None, str]:
    try:
        return dict(rows.ask("gpu", {})["gpu"]), ""
    except EdgewrightError as error:
        return None, rows.reason(error)


def _capability(found: Results) -> str:
    return str(found.gpu["compute_capability"]) if found.gpu else ""


def _with_model(found: Results, job: rows.Job) -> Results:
    """The results with the rows of one more model."""
    timed = list(rows.built(job, "tensorrt", PRECISIONS))
    if found.gpu:
        timed += [*rows.built(job, "pytorch", _BASELINE), *rows.onnxruntime(job)]
    return dataclasses.replace(
        found,
        timed=(*found.timed, *timed),
        planned=(*found.planned, *rows.planned(job)),
        compared=(*found.compared, *(rows.compared(job) if found.gpu else ())),
        unlisted=found.unlisted or tuple(rows.unlisted(job, _capability(found))),
    )


def claim(found: Results) -> str:
    """What this run can show: of a GPU only where there was one."""
    return CLAIM if found.gpu else f"{_COMPILES}; {_UNKNOWN}."


def _write(found: Results, out: Path) -> None:
    """Page and data; also of a run that is not yet at its end."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.md").write_text(page(found, claim(found)), encoding="utf-8")
    (out / "gpu.json").write_text(json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """The same with options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--models", nargs="+", choices=list(rows.MODELS), default=list(rows.MODELS), help="default: all"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="default: docs/results")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement, at least (default: 1)")
    args = parser.parse_args()
    failed = run(1, Options(args.models, args.out, args.seconds))
    for sentence in failed:
        print(f"goal missed: {sentence}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
