"""Which placement of Q/DQ pairs: the default, or what is fastest on this machine, if it has the right GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.profiler import Profile
from profiles.runner import Array
from profiles.sampling import Settings
from targets.adapt import inputs_to_native
from targets.artifact import GOLDEN, Artifact, write_manifest
from targets.base import CalibrationSet, Compiled, ExportedModel, Scheme
from targets.golden import Golden, save_golden
from targets.measure import ask_worker
from targets.tensorrt.compile import compile_bundle
from targets.tensorrt.emulate import open_runner
from targets.tensorrt.formats import quantize
from targets.tensorrt.placement.placement import Placement
from targets.tensorrt.presence import why_absent
from targets.tensorrt.search.search import not_measured, search

#: Of the device parameter ``placement``.
DEFAULT, SEARCH = "default", "search"
#: How long one candidate runs in one round.
_ROUND = Settings(seconds=0.3, min_runs=50)

Variant = tuple[Placement, ExportedModel]


def to_int8(
    model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
) -> ExportedModel:
    """The placement to use, written below ``out``; how it was found is in ``records["placement"]``.

    Raises:
        UnsupportedError: nothing in the model can be int8.
        DataError: calibration samples of the wrong name or shape, or not finite.
    """
    if why := why_not(device):
        made = quantize.to_int8(model, calibration, device, scheme, out)
        return _recorded(made, not_measured(["default"], why).as_dict())
    variants = list(quantize.to_int8_variants(model, calibration, device, scheme, out))
    trial = _Trial(device, calibration, out / "trials")
    default_loss = trial.loss(variants[0])
    allowed = default_loss if scheme.allowed_drop is None else max(scheme.allowed_drop, default_loss)
    found = search(variants, trial.seconds, trial.loss, allowed, name=_name)
    return _recorded(found.best[1], found.as_dict())


def why_not(device: Device) -> str:
    """Why candidates are not timed; empty when they are.

    Raises:
        UnsupportedError: the device parameter ``placement`` has an unknown value.
    """
    asked = device.parameters.get("placement", DEFAULT)
    if asked not in (DEFAULT, SEARCH):
        raise UnsupportedError(
            f"{device.name}: unknown parameters.placement", seen=repr(asked), allowed=f"{DEFAULT}, {SEARCH}"
        )
    if asked == DEFAULT:
        return f'nobody asked for a search (parameters.placement = "{SEARCH}")'
    return why_absent(device)


def _name(variant: Variant) -> str:
    return variant[0].name


def _recorded(model: ExportedModel, found: dict[str, object]) -> ExportedModel:
    return dataclasses.replace(model, records={**model.records, "placement": found})


class _Trial:
    """Times and judges candidates; each is compiled once.

    The loss of accuracy is the share of calibration samples on which the largest output is another than the float
    model's: labels are not known here.
    """

    def __init__(self, device: Device, samples: CalibrationSet, folder: Path) -> None:
        self._device, self._samples, self._folder = device, samples, folder
        self._bundles: dict[str, Path] = {}

    def seconds(self, variant: Variant) -> float:
        """Median time of one inference by CUDA events, measured anew in a process of its own."""
        request = {"action": "profile", "settings": _ROUND.as_dict()}
        profile = Profile.from_dict(ask_worker(self._bundle(variant), request)["profile"])
        events = profile.metrics.get("latency_events_p50")
        metric = events if events is not None and events.available else profile.metrics["latency_p50"]
        return float(metric.value or 0.0)

    def loss(self, variant: Variant) -> float:
        """Disagreement with the float model, emulated."""
        model = variant[1]
        assert model.onnx is not None and model.float_onnx is not None
        before, after = (_answers(path, model, self._samples) for path in (model.float_onnx, model.onnx))
        return sum(a != b for a, b in zip(before, after, strict=True)) / len(before)

    def _bundle(self, variant: Variant) -> Path:
        placement, model = variant
        if placement.name not in self._bundles:
            folder = self._folder / str(len(self._bundles))
            folder.mkdir(parents=True)
            self._bundles[placement.name] = self._made(model, folder)
        return self._bundles[placement.name]

    def _made(self, model: ExportedModel, folder: Path) -> Path:
        compiled = compile_bundle(model, self._device, folder)
        native = inputs_to_native(self._samples[0], model.inputs, compiled.inputs)
        save_golden(folder / GOLDEN, Golden({name: values[None] for name, values in native.items()}, {}, {}))
        write_manifest(Artifact(folder, self._device.as_dict(), "tensorrt", "int8", compiled))
        return folder


def _answers(onnx: Path, model: ExportedModel, samples: CalibrationSet) -> list[int]:
    """The place of the largest value of the first output, sample by sample."""
    with open_runner(onnx.parent, Compiled((onnx.name,), model.inputs, model.outputs), {}) as runner:
        outputs: Sequence[Array] = [runner.run(sample)[model.outputs[0].name] for sample in samples]
    return [int(np.argmax(values)) for values in outputs]
