"""Our p50 against the vendors' own benchmark programs, on the same model file, in turn."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import toolchain
from benchmarks.common import WEIGHTS, Table, middle, say, span, write
from profiles.errors import ToolCrashError
from profiles.sampling import Settings
from targets.artifact import Artifact, load_artifact
from targets.execute import run_program
from targets.measure import profile_bundle
from toolchain.project import project_from_dict

CLAIM = "`edgewright profile`'s p50 is within 5 % of the vendor's own tool on the same file."
_SECONDS = 2.0
_QUICK = Settings(seconds=_SECONDS, min_runs=100)
#: LiteRT's tool rounds its median to 0.01 ms. Its own loop and arguments run unchanged here; only the
#: median is printed once more before it is rounded.
_UNROUNDED = """
import statistics, sys
plain = statistics.median
def median(values):
    print("unrounded median", repr(plain(values)), "ms")
    return plain(values)
statistics.median = median
from ai_edge_litert.tools.benchmark_litert_model import main
sys.argv[0] = "litert-benchmark"
main()
"""


def models() -> list[dict[str, Any]]:
    """A small net and a large one."""
    return [
        {"source": "zoo:resnet8", "weights": str(WEIGHTS)},
        {"source": "zoo:pytorchcv/mobilenetv2_w1", "input": {"shape": [1, 3, 224, 224], "layout": "NCHW"}},
    ]


def run(rounds: int) -> list[str]:
    """Build in fp32 and int8, then let ours and theirs measure in turn; returns missed goals."""
    data: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in models():
            for name, artifact in _bundles(model, Path(folder)).items():
                say(f"{name}: {rounds} rounds")
                data[name] = _compare(artifact, rounds)
    rows = [
        [*name.split("/"), f"{span(f['ours_us'], 1)} µs", f"{span(f['theirs_us'], 1)} µs", f"**{span(f['ratio'], 3)}**"]
        for name, f in data.items()
    ]
    notes = [
        "Vendors' tools: OpenVINO `benchmark_app -api sync -hint none -nstreams 1 -nthreads 1`; "
        "`litert-benchmark --num_threads 1`.",
        "Both sides run in turn for two seconds each per round; median (lowest–highest) over the rounds.",
        "OpenVINO's tool reads the request's own clock inside the library; "
        "ours is a wall clock around the call from Python.",
    ]
    columns = ["model", "engine", "precision", "edgewright p50", "vendor's median", "ours / theirs"]
    write("vendor", "Our profiler against the vendors' own tools", CLAIM, Table(columns, rows, notes), data)
    return [f"{n}: ratio {span(f['ratio'], 3)}" for n, f in data.items() if abs(f["ratio"]["median"] - 1) > 0.05]


def _bundles(model: dict[str, Any], folder: Path) -> dict[str, Artifact]:
    devices = [
        {"profile": "local-cpu", "target": engine, "precision": ["fp32", "int8"]} for engine in ("openvino", "litert")
    ]
    # random samples are enough to calibrate a model whose speed alone matters here
    project = project_from_dict({"model": model, "data": {"source": "random", "calibration": 16}, "device": devices})
    result = toolchain.build(project, out=folder / project.model.name, profile=False)
    return {f"{project.model.name}/{e.target}/{e.precision}": load_artifact(e.bundle) for e in result.entries}


def _compare(artifact: Artifact, rounds: int) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(profile_bundle(artifact, _QUICK).metrics["latency_p50"].value or 0.0)
        theirs.append(_openvino(artifact) if artifact.target == "openvino" else _litert(artifact, ours[-1]))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "ours_us": middle([t * 1e6 for t in ours]),
        "theirs_us": middle([t * 1e6 for t in theirs]),
        "ratio": middle(ratios),
    }


def _openvino(artifact: Artifact) -> float:
    """Median seconds of benchmark_app."""
    model = str(artifact.folder / artifact.compiled.files[0])
    tool = str(Path(sys.executable).with_name("benchmark_app"))
    argv = [tool, "-m", model, "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads", "1"]
    text = run_program([*argv, "-infer_precision", "f32", "-t", f"{_SECONDS:g}"], timeout=120).stdout
    found = re.search(r"Median:\s+([\d.]+) (ms|us)", text)
    if found is None:
        raise ToolCrashError("wanted a median from benchmark_app", seen=text[-500:])
    return float(found.group(1)) * {"ms": 1e-3, "us": 1e-6}[found.group(2)]


def _litert(artifact: Artifact, ours: float) -> float:
    """Median seconds of litert-benchmark, for as long as ours took."""
    runs = max(int(_SECONDS / ours), 50)
    model = str(artifact.folder / artifact.compiled.files[0])
    argv = [sys.executable, "-c", _UNROUNDED, "--model", model, "--num_threads", "1"]
    done = run_program([*argv, "--num_runs", str(runs), "--warmup_runs", str(runs // 10)], timeout=120)
    found = re.search(r"unrounded median ([\d.e-]+) ms", done.stdout)
    if found is None:
        raise ToolCrashError("wanted a median from litert-benchmark", seen=(done.stdout + done.stderr)[-500:])
    return float(found.group(1)) * 1e-3
