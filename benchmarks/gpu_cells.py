"""One cell of the GPU benchmark, alone in its process: what crashes here becomes a reason in the table.

``python -m benchmarks.gpu_cells REQUEST``: requests and answers are those of ``targets/worker.py``.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from profiles.errors import MissingToolError, UnsupportedError
from targets import worker

#: Seconds for which both energy instruments watch.
WATCH = 10.0
#: Seconds of work before that, so that clocks and power have settled.
SETTLE = 2.0
_UNFUSED = ("generated",)


def gpu(request: worker.Request, say: worker.Say) -> dict[str, Any]:
    """The GPU that CUDA shows first."""
    from targets.tensorrt.gpu.gpu import find_gpu

    return {"gpu": find_gpu().as_dict()}


def build(request: worker.Request, say: worker.Say) -> dict[str, Any]:
    """``toolchain.build``: bundles with their figures, without samples."""
    import toolchain
    from profiles.sampling import Settings
    from toolchain.project import project_from_dict

    project = project_from_dict(request["project"], where="the benchmark")
    result = toolchain.build(project, out=Path(request["out"]), settings=Settings(seconds=request.get("seconds", 1.0)))
    return {
        "entries": [
            {"target": entry.target, "precision": entry.precision, "bundle": str(entry.bundle)}
            | {"metrics": {name: _bare(metric) for name, metric in entry.metrics.items()}}
            for entry in result.entries
        ]
    }


def _bare(metric: Any) -> dict[str, Any]:
    found: dict[str, Any] = dataclasses.replace(metric, samples=None).as_dict()
    return found


def plans(request: worker.Request, say: worker.Say) -> dict[str, Any]:
    """Compile a bundle's graph for each compute capability in turn; one event for each."""
    from profiles.device import load_device
    from targets.artifact import load_artifact
    from targets.base import ExportedModel
    from targets.registry import load_target
    from targets.tensorrt.plan import ONNX
    from toolchain.steps.evaluate import specs

    artifact = load_artifact(Path(request["bundle"]))
    inputs, outputs = (specs(artifact.model[side]) for side in ("inputs", "outputs"))
    graph = artifact.folder / ONNX
    model = ExportedModel(artifact.model["name"], inputs, outputs, onnx=graph, precision=artifact.precision)
    profile = load_device(artifact.device["name"])
    for capability in request["capabilities"]:
        own = {"library": "tensorrt_rtx", "compute_capability": capability, "engines_for": [capability]}
        parameters = {**profile.parameters, **own}
        device = dataclasses.replace(profile, parameters=parameters)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            load_target("tensorrt").compile(model, device, Path(folder))
            seconds = time.perf_counter() - start
            say({"event": "plan", "capability": capability, "seconds": seconds, **_schedule(Path(folder))})
    return {}


def _schedule(folder: Path) -> dict[str, int]:
    """What the compiler planned, in numbers."""
    from targets.tensorrt.compiler.schedule_file import load_schedules

    planned = load_schedules(folder)
    found = {"engine": sum(path.stat().st_size for path in folder.glob("*.engine"))}
    if planned is None or not planned.schedules:
        return found
    schedule = next(iter(planned.schedules.values()))
    alone = [kernel for kernel in schedule.kernels if kernel.kind in _UNFUSED]
    return found | {
        "kernels": len(schedule.kernels),
        "requantizing": sum(any(tensor.dtype in ("int8", "fp8") for tensor in kernel.outputs) for kernel in alone),
        "moved": schedule.bytes_moved,
        "memory": schedule.device_memory,
    }


def onnxruntime_cuda(request: worker.Request, say: worker.Say) -> dict[str, Any]:
    """The bundle's graph with ONNX Runtime's CUDA provider, inputs and outputs on the GPU."""
    from profiles.sampling import Settings, sample

    session, feeds = _cuda_session(Path(request["bundle"]))
    binding = session.io_binding()
    for name, values in feeds.items():
        binding.bind_cpu_input(name, values)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    settings = Settings(seconds=request.get("seconds", 1.0))
    inside = sample(call, settings).wall
    copied = sample(lambda: session.run(None, feeds), settings).wall
    how = f"wall clock, ONNX Runtime {_ort().__version__} with CUDAExecutionProvider"
    return {
        "metrics": {
            "latency_p50": _median(inside, how),
            "latency_transfers_p50": _median(copied, f"{how}, copies included"),
        }
    }


def _ort() -> Any:
    import onnxruntime

    return onnxruntime


def _cuda_session(bundle: Path) -> tuple[Any, dict[str, Any]]:
    """A session of which all nodes may run on the GPU, and the first golden inputs.

    Raises:
        MissingToolError: ONNX Runtime, or its CUDA provider, is not there.
        UnsupportedError: it was asked for, and something else took its place.
    """
    from targets.artifact import GOLDEN, load_artifact
    from targets.golden import load_golden
    from targets.tensorrt.plan import ONNX

    try:
        ort = _ort()
    except ImportError as error:
        raise MissingToolError(
            "wanted ONNX Runtime", seen=str(error), next_step="run: pip install onnxruntime-gpu"
        ) from error
    name = "CUDAExecutionProvider"
    if name not in ort.get_available_providers():
        listed = ", ".join(ort.get_available_providers())
        step = "run: pip install onnxruntime-gpu"
        raise MissingToolError(f"wanted ONNX Runtime with {name}", seen=listed, next_step=step)
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA's and cuDNN's libraries from PyTorch's or NVIDIA's own packages
    session = ort.InferenceSession(str(bundle / ONNX), providers=[name])
    if name not in session.get_providers():
        raise UnsupportedError(f"wanted ONNX Runtime with {name}", seen=f"it fell back to {session.get_providers()}")
    golden = load_golden(load_artifact(bundle).folder / GOLDEN)
    return session, {key: stack[0] for key, stack in golden.inputs.items()}


def _median(samples: tuple[float, ...], how: str) -> dict[str, Any]:
    from profiles.measurement import Kind, Metric, percentile

    return Metric(percentile(sorted(samples), 50), "s", Kind.MEASURED, f"{how}, {len(samples)} runs").as_dict()


def energy(request: worker.Request, say: worker.Say) -> dict[str, Any]:
    """One stretch of inferences under both of NVML's instruments: the counter, and sampled power."""
    from profiles.meters.cross_check import cross_check
    from profiles.meters.nvml import NvmlMeter
    from profiles.meters.nvml_power import NvmlPowerMeter
    from targets.artifact import GOLDEN, load_artifact
    from targets.golden import load_golden

    counter, sampler = NvmlMeter(), NvmlPowerMeter()
    for meter in (counter, sampler):
        if why := meter.available():
            raise MissingToolError(f"wanted the meter {meter.name}", seen=why)
    artifact = load_artifact(Path(request["bundle"]))
    golden = load_golden(artifact.folder / GOLDEN)
    with worker.open_runner(artifact) as runner:
        call = runner.bind({key: stack[0] for key, stack in golden.inputs.items()})
        _loop(call, SETTLE)
        began = time.monotonic()
        sampler.start()
        counter.start()
        begins = time.monotonic() - began
        count = _loop(call, float(request.get("seconds", WATCH)))
        counted = counter.stop()
        sampled = sampler.stop()
    found = cross_check(counted, sampled, begins=begins, lag=sampler.lag)
    shown = {"counted": found.counted, "integrated": found.integrated, "joules": counted.joules / count}
    return {**shown, "deviation": found.deviation, "margin": found.margin}


def _loop(call: Any, seconds: float) -> int:
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        call()
        count += 1
    return count


def unlisted(request: worker.Request, say: worker.Say) -> dict[str, Any]:
    """TensorRT-RTX on a GPU that it does not list: by its number, and as whatever GPU there is."""
    from targets.tensorrt.compiler.builder import Session, build_engine
    from targets.tensorrt.compiler.library import load_library
    from targets.tensorrt.plan import ONNX, BuildPlan

    module = load_library("tensorrt_rtx")
    graph = (Path(request["bundle"]) / ONNX).read_bytes()
    plan = BuildPlan("tensorrt_rtx", "fp32", (request["capability"],))
    own = f"an engine for SM {request['capability']}"
    say({"event": "attempt", "attempt": own, "outcome": _outcome(lambda: build_engine(graph, plan, 1).engine)})

    def current() -> bytes:
        session = Session(plan, "wanted an engine for the GPU of this machine")
        network, _parser = session.read(graph)
        config = session.builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(module.ComputeCapability.CURRENT, 0)
        engine = session.builder.build_serialized_network(network, config)
        if engine is None:
            raise session.failed()
        return bytes(engine)

    say(
        {"event": "attempt", "attempt": "an engine for the GPU of this machine (CURRENT)", "outcome": _outcome(current)}
    )
    return {}


def _outcome(attempt: Any) -> str:
    from profiles.errors import EdgewrightError

    try:
        return f"built, {len(attempt()):,} bytes"
    except EdgewrightError as error:
        return "; ".join(
            part
            for part in (error.wanted, f"seen: {error.seen}", error.allowed and f"allowed: {error.allowed}")
            if part
        )


ACTIONS: worker.Actions = {
    "gpu": gpu,
    "build": build,
    "plans": plans,
    "onnxruntime": onnxruntime_cuda,
    "energy": energy,
    "unlisted": unlisted,
}


if __name__ == "__main__":
    sys.exit(worker.main(actions=ACTIONS))
