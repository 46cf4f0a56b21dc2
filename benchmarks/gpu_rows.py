"""The rows of the GPU benchmark: each cell is asked in a process of its own, and what fails becomes a reason."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import CIFAR, ROOT, WEIGHTS, say
from benchmarks.gpu_results import CAPABILITIES, PRECISIONS, Compared, Planned, Timed
from profiles.device import device_names, load_device
from profiles.errors import EdgewrightError
from profiles.machine import matches, snapshot
from profiles.measurement import Metric
from targets import execute
from targets.registry import BASELINE
from targets.tensorrt.device import AHEAD_OF_TIME

#: Name to what the project says of the model; weights and data only where trained weights are at hand.
MODELS: Mapping[str, Mapping[str, Any]] = {
    "resnet8": {"source": "zoo:resnet8", "weights": str(WEIGHTS)},
    "dscnn": {"source": "zoo:dscnn"},
    "mobilenet_v1_025": {"source": "zoo:mobilenet_v1_025"},
    "fc_autoencoder": {"source": "zoo:fc_autoencoder"},
    "mobilenetv2": {
        "source": "zoo:pytorchcv/mobilenetv2_w1", "input": {"shape": [1, 3, 224, 224], "layout": "NCHW"},
    },
    "resnet50": {"source": "zoo:pytorchcv/resnet50", "input": {"shape": [1, 3, 224, 224], "layout": "NCHW"}},
}  # fmt: skip
#: The device of the bundles that are compiled where there is no GPU.
COMPILED_FOR = "rtx-4070"
_SECONDS = 1800.0


@dataclasses.dataclass(frozen=True)
class Job:
    """One model.

    Attributes:
        model: of :data:`MODELS`.
        device: the keys of ``[[device]]`` that name it.
        folder: where its bundles go.
        seconds: of one measurement, at least.
        bundles: engine and format to the bundle's folder; filled as bundles are built.
    """

    model: str
    device: Mapping[str, Any]
    folder: Path
    seconds: float = 1.0
    bundles: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)


def ask(action: str, request: Mapping[str, Any], events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The answer of one cell, in a process of its own.

    Raises:
        EdgewrightError: what it says, or that it died.
    """
    argv = execute.python_argv("benchmarks.gpu_cells", json.dumps({"action": action, **request}))
    heard = [] if events is None else events
    return execute.converse(argv, heard.append, env={"PYTHONPATH": str(ROOT)}, timeout=_SECONDS)


def reason(error: EdgewrightError) -> str:
    """An error as one line."""
    parts = (error.wanted, error.seen and f"seen: {error.seen}", error.allowed and f"allowed: {error.allowed}")
    return "; ".join(" ".join(part.split()) for part in parts if part)


def device_for(capability: str) -> dict[str, Any]:
    """The profile of this machine's GPU, or the nearest: of the same compute capability, or with its own overridden.

    TensorRT-RTX where it lists the GPU, else TensorRT.

    Args:
        capability: of the GPU; empty where there is none.
    """
    if not capability:
        return {"profile": COMPILED_FOR}
    profiles = [profile for name in device_names() if "tensorrt" in (profile := load_device(name)).targets]
    state = snapshot()
    for fits in (lambda p: matches(p.identity, state), lambda p: p.parameters.get("compute_capability") == capability):
        for profile in profiles:
            if fits(profile):
                return {"profile": profile.name}
    library = "tensorrt_rtx" if capability in AHEAD_OF_TIME else "tensorrt"
    own = {"compute_capability": capability, "engines_for": [capability], "library": library}
    return {"profile": COMPILED_FOR, "overrides": {f"parameters.{name}": value for name, value in own.items()}}


def project(model: str, target: str, precisions: Sequence[str], device: Mapping[str, Any]) -> dict[str, Any]:
    """A project file's content; random samples calibrate a model whose accuracy nobody asks for.

    PyTorch is also measured after ``torch.compile``.
    """
    data = {"source": "random", "calibration": 16}
    if model == "resnet8" and (CIFAR / "test.parquet").is_file():
        data = {"source": f"parquet:{CIFAR}", "calibration": 64}
    entry = {**device, "target": target, "precision": list(precisions), "name": f"{model}-{target}"}
    baseline = {"baseline": {"precision": list(precisions), "compiled": True}} if target == BASELINE else {}
    return {"model": dict(MODELS[model]), "data": data, "device": [entry], **baseline}


def built(job: Job, target: str, precisions: Sequence[str]) -> Iterator[Timed]:
    """Bundles of one engine with their figures: all formats together, or one by one where that fails."""
    wanted = [list(precisions)]
    while wanted:
        some = wanted.pop(0)
        say(f"  {target} {' '.join(some)}")
        content = project(job.model, target, some, job.device)
        request = {"out": str(job.folder / "-".join([target, *some])), "project": content, "seconds": job.seconds}
        try:
            answer = ask("build", request)
        except EdgewrightError as error:
            wanted += [[each] for each in some if len(some) > 1]
            yield from (Timed(job.model, each, target, reason(error)) for each in some if len(some) == 1)
            continue
        yield from _entries(job, [entry for entry in answer["entries"] if entry["precision"] in some])


def _entries(job: Job, entries: Sequence[Mapping[str, Any]]) -> Iterator[Timed]:
    for entry in entries:
        job.bundles[entry["target"], entry["precision"]] = entry["bundle"]
        metrics = {name: Metric.from_dict(data) for name, data in entry["metrics"].items()}
        yield Timed(job.model, entry["precision"], entry["target"], "", metrics)


def onnxruntime(job: Job) -> Iterator[Timed]:
    """ONNX Runtime's CUDA provider on the graphs of the TensorRT bundles."""
    name = "onnxruntime CUDA"
    for precision in PRECISIONS:
        bundle = job.bundles.get(("tensorrt", precision))
        if bundle is None:
            yield Timed(job.model, precision, name, "there is no ONNX file, because no bundle was built for TensorRT")
            continue
        try:
            answer = ask("onnxruntime", {"bundle": bundle, "seconds": job.seconds})
        except EdgewrightError as error:
            yield Timed(job.model, precision, name, reason(error))
            continue
        metrics = {key: Metric.from_dict(data) for key, data in answer["metrics"].items()}
        yield Timed(job.model, precision, name, "", metrics)


def planned(job: Job) -> Iterator[Planned]:
    """Every format for every compute capability; an engine that was not compiled has the reason."""
    for precision in PRECISIONS:
        bundle, why = job.bundles.get(("tensorrt", precision)), "no bundle was built"
        events: list[dict[str, Any]] = []
        if bundle:
            try:
                ask("plans", {"bundle": bundle, "capabilities": list(CAPABILITIES)}, events)
            except EdgewrightError as error:
                why = reason(error)
        told = {event.pop("capability"): event for event in events if event.pop("event") == "plan"}
        for capability in CAPABILITIES:
            row = told.get(capability)
            yield (
                Planned(job.model, precision, capability, **row)
                if row
                else Planned(job.model, precision, capability, why)
            )


def compared(job: Job) -> Iterator[Compared]:
    """Both energy instruments on the baseline and on the engines."""
    for (target, precision), bundle in job.bundles.items():
        try:
            answer = ask("energy", {"bundle": bundle})
        except EdgewrightError as error:
            yield Compared(job.model, precision, target, reason(error))
            continue
        figures = {field.name: answer[field.name] for field in dataclasses.fields(Compared)[4:]}
        yield Compared(job.model, precision, target, "", **figures)


def unlisted(job: Job, capability: str) -> Iterator[tuple[str, str]]:
    """What TensorRT-RTX says to a GPU that it does not list; tried once, with the first graph there is."""
    if not capability or capability in CAPABILITIES:
        return
    graphs = [bundle for (target, _), bundle in job.bundles.items() if target == "tensorrt"]
    events: list[dict[str, Any]] = []
    try:
        ask("unlisted", {"bundle": graphs[0] if graphs else "", "capability": capability}, events)
        why = ""
    except EdgewrightError as error:
        why = reason(error)
    yield from ((event["attempt"], event["outcome"]) for event in events if event["event"] == "attempt")
    if why:
        yield f"TensorRT-RTX on SM {capability}", why
