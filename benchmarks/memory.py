"""Peak resident memory of a large build, and of profiling, over the whole tree of processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import ENGINES, Table, say, write

CLAIM = (
    "Building ResNet-50-224 for three engines stays under 4 GB; "
    "profiling needs the engine's own memory plus at most 150 MB."
)
_BUILD_LIMIT = 4e9
_PROFILE_LIMIT = 150e6
_PROJECT = """
[model]
source = "zoo:pytorchcv/resnet50"
input = {{ shape = [1, 3, 224, 224], layout = "NCHW" }}
[data]
source = "random"
calibration = 16
{devices}
"""
#: What an engine needs by itself: load the file, run once.
_BARE = {
    "onnxruntime": "import numpy, onnxruntime as o; p = o.SessionOptions(); p.intra_op_num_threads = 1; "
    "s = o.InferenceSession(sys.argv[1], p, providers=['CPUExecutionProvider']); i = s.get_inputs()[0]; "
    "s.run(None, {i.name: numpy.zeros(i.shape, 'f')})",
    "openvino": "import numpy, openvino as o; m = o.Core().compile_model(sys.argv[1], 'CPU', "
    "{'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1, 'NUM_STREAMS': 1}); "
    "m.create_infer_request().infer([numpy.zeros(list(m.inputs[0].shape), m.inputs[0].get_element_type().to_dtype())])",
    "litert": "from ai_edge_litert.interpreter import Interpreter as I; i = I(sys.argv[1], num_threads=1); "
    "i.allocate_tensors(); i.invoke()",
}


def run(rounds: int) -> list[str]:
    """Build once, then profile every bundle and run its engine bare; returns missed goals."""
    missed, rows, data = [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "edge.toml"
        project.write_text(_PROJECT.format(devices=_devices()))
        out = Path(folder) / "build"
        argv = [sys.executable, "-m", "toolchain", "build", str(project), "--out", str(out), "--no-cache", "--quiet"]
        say("building")
        built = peak(argv)
        rows.append(["build, 3 engines × fp32, int8", f"{built / 1e9:.2f} GB", "–", "under 4 GB"])
        data["build"] = built
        missed += [] if built < _BUILD_LIMIT else [f"build peaks at {built / 1e9:.2f} GB"]
        for bundle in sorted(path for path in out.iterdir() if path.is_dir() and not path.name.startswith(".")):
            say(bundle.name)
            found = _profile(bundle)
            data[bundle.name] = found
            extra = found["profile"] - found["engine"]
            cells = [f"profile {bundle.name}", f"{found['profile'] / 1e6:.0f} MB", f"{found['engine'] / 1e6:.0f} MB"]
            rows.append([*cells, f"{extra / 1e6:+.0f} MB"])
            missed += [] if extra <= _PROFILE_LIMIT else [f"{bundle.name}: {extra / 1e6:.0f} MB above the engine"]
    notes = ["Peak of the summed resident memory of the process and all its descendants, sampled every 20 ms."]
    columns = ["what", "peak", "engine alone", "above it, or limit"]
    write("memory", "Memory of build and profile, ResNet-50-224", CLAIM, Table(columns, rows, notes), data)
    return missed


def _devices() -> str:
    entry = '[[device]]\nprofile = "local-cpu"\ntarget = "{}"\nprecision = ["fp32", "int8"]\n'
    return "\n".join(entry.format(engine) for engine in ENGINES)


def _profile(bundle: Path) -> dict[str, Any]:
    engine = next(name for name in ENGINES if name in bundle.name)
    model = next(str(path) for path in bundle.iterdir() if path.suffix in (".onnx", ".xml", ".tflite"))
    bare = [sys.executable, "-c", f"import sys; {_BARE[engine]}", model]
    profile = [sys.executable, "-m", "toolchain", "profile", str(bundle), "--quiet", "--runs", "20"]
    return {"profile": peak(profile), "engine": peak(bare)}


def peak(argv: list[str]) -> int:
    """Largest sum of resident bytes over a command and its descendants while it runs."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    highest = 0
    while process.poll() is None:
        highest = max(highest, _tree_bytes(process.pid))
        time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}")
    return highest


def _tree_bytes(root: int) -> int:
    parents, sizes = _processes()
    members = {root}
    while grown := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= grown
    return sum(sizes.get(pid, 0) for pid in members)


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    """Parent and resident bytes of every process (proc(5), /proc/pid/stat fields 4 and 24)."""
    parents, sizes = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        pid = int(path.parent.name)
        parents[pid], sizes[pid] = int(fields[1]), int(fields[21]) * 4096
    return parents, sizes
