"""One device's bundle: quantize, compile, run the golden samples, compare with the float reference."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.device import Device
from profiles.errors import VerificationError
from profiles.measurement import Kind, Metric, unavailable
from profiles.runner import Array, Arrays
from targets.adapt import inputs_to_native
from targets.artifact import GOLDEN, HERE, LAYERS, NOT_RUN, Artifact, write_json, write_manifest
from targets.base import CALIBRATED, QUANTIZED, Compiled, ExportedModel, Scheme, Target
from targets.golden import Golden, largest_error, load_golden, save_golden, sqnr_db, tolerances
from targets.measure import run_bundle
from targets.registry import load_target, tool_versions
from toolchain import __version__
from toolchain.cache.keys import folder_digest
from toolchain.steps.data import stack, unstack
from toolchain.steps.figures import canonical_outputs

#: Largest error against the float reference, as a share of its largest magnitude; quantized: the least SQNR in dB.
LIMITS = {"fp32": 1e-3, "fp16": 3e-2, "bf16": 1.5e-1}
LEAST_SQNR_DB = 3.0
LAYER_SAMPLES = 4


@dataclasses.dataclass(frozen=True)
class BundleJob:
    """Everything that one bundle depends on; can be sent to another process.

    Attributes:
        model: files and golden samples, in canonical form.
        target: its name.
        device: the profile, with overrides and ``threads`` among its parameters.
        scheme: precision and calibration.
        calibration: ``.npz`` with stacked calibration samples, or None.
        facts: of the model and the build, for the manifest.
        title: what the user is told; nothing else depends on it.
        optional: when it cannot be made, the others go on.
    """

    model: ExportedModel
    target: str
    device: Device
    scheme: Scheme
    calibration: Path | None
    facts: Mapping[str, Any]
    title: str = ""
    optional: bool = False

    def key(self) -> dict[str, Any]:
        """What the cached bundle depends on."""
        target = load_target(self.target)
        return {
            "model": [self.model.onnx, self.model.tflite, self.model.pt2],
            "specs": [spec.as_dict() for spec in (*self.model.inputs, *self.model.outputs)],
            "channel last": self.model.tflite_channel_last,
            "golden": [dict(self.model.golden_inputs), dict(self.model.golden_outputs)],
            "target": self.target,
            "device": self.device.as_dict(),
            "scheme": self.scheme,
            "calibration": self.calibration,
            "facts": self.facts,
            "tools": tool_versions(target),
            "emulated": bool(target.absent(self.device)),
            "resources": [folder_digest(folder) for folder in target.resources],
        }


def build_bundle(job: BundleJob, out: Path) -> None:
    """Make the bundle in the empty folder ``out``.

    Raises:
        UnsupportedError: the target cannot quantize or compile it.
        VerificationError: its outputs are too far from the float reference.
    """
    target = load_target(job.target)
    work = out / ".work"
    work.mkdir()
    model = _quantized(job, target, work)
    artifact = _describe(job, target.compile(model, job.device, out), target, model, out)
    _write_golden(job, write_manifest(artifact), emulate=bool(target.absent(job.device)))
    if model.precision in QUANTIZED and job.model.precision not in QUANTIZED:
        _write_layers(target, model, job, out)
    shutil.rmtree(work)
    golden = {"tolerance": _tolerance(out, job.scheme.precision), "reference": job.model.reference}
    write_manifest(dataclasses.replace(artifact, golden=golden))


def _quantized(job: BundleJob, target: Target, work: Path) -> ExportedModel:
    if job.scheme.precision == job.model.precision:
        return job.model
    samples: list[dict[str, Array]] = []
    if job.calibration is not None:
        with np.load(job.calibration, allow_pickle=False) as archive:
            samples = unstack({name: archive[name] for name in archive.files})
    return target.quantize(job.model, samples, job.device, job.scheme, work)


def _describe(job: BundleJob, compiled: Compiled, target: Target, quantized: ExportedModel, out: Path) -> Artifact:
    why = target.absent(job.device)
    build = {
        "scheme": dataclasses.asdict(job.scheme),
        "calibration": _calibration_note(job),
        "executed": f"{NOT_RUN}: {why}" if why else HERE,
        "notes": dict(quantized.notes),
        **quantized.records,
    }
    model = {
        "name": job.model.name,
        "inputs": [spec.as_dict() for spec in job.model.inputs],
        "outputs": [spec.as_dict() for spec in job.model.outputs],
        **job.facts,
    }
    return Artifact(
        folder=out,
        device=job.device.as_dict(),
        target=job.target,
        precision=job.scheme.precision,
        compiled=compiled,
        tools={"edgewright": __version__, **tool_versions(target)},
        model=model,
        build=build,
    )


def _calibration_note(job: BundleJob) -> str:
    if job.scheme.precision not in CALIBRATED or job.model.precision in QUANTIZED:
        return "none needed"
    return f"{job.scheme.calibrator} on samples of the training part"


def _write_golden(job: BundleJob, artifact: Artifact, *, emulate: bool) -> None:
    """Run the golden inputs through the bundle, check against the float reference, and record the outputs."""
    samples = unstack(job.model.golden_inputs)
    native = stack([inputs_to_native(sample, job.model.inputs, artifact.compiled.inputs) for sample in samples])
    outputs, _ = run_bundle(artifact.folder, native, emulate=emulate)
    save_golden(artifact.folder / GOLDEN, Golden(native, outputs, job.model.golden_outputs))
    if job.target != "null":
        _check(job, canonical_outputs(outputs, artifact))


def _check(job: BundleJob, outputs: Arrays) -> None:
    """Refuse a bundle that computes something else than the float model.

    Raises:
        VerificationError: with the error and the limit.
    """
    errors = largest_error(outputs, job.model.golden_outputs)
    judge = _quantized_verdict if job.scheme.precision in QUANTIZED else _float_verdict
    for name, reference in job.model.golden_outputs.items():
        ok, seen, allowed, next_step = judge(reference, outputs[name], errors[name], job.scheme.precision)
        if not ok:
            raise VerificationError(
                f"'{job.model.name}' in {job.scheme.precision} for {job.target}: '{name}' must follow the reference",
                seen=seen,
                allowed=allowed,
                next_step=next_step,
            )


def _quantized_verdict(reference: Array, seen: Array, error: float, precision: str) -> tuple[bool, str, str, str]:
    """Whether the noise is far enough below the signal, and the words for it."""
    ratio = sqnr_db(reference, seen) if np.isfinite(error) else -np.inf
    ok = ratio is None or ratio >= LEAST_SQNR_DB
    advice = "try another calibrator, or more calibration samples; edgewright support names layers without int8 kernels"
    return ok, f"SQNR {ratio or 0.0:.1f} dB", f"at least {LEAST_SQNR_DB:g} dB", advice


def _float_verdict(reference: Array, seen: Array, error: float, precision: str) -> tuple[bool, str, str, str]:
    """Whether the largest error is within the precision's limit, and the words for it."""
    limit = LIMITS[precision] * float(np.max(np.abs(reference), initial=0.0)) + 1e-5
    advice = "try another target; if it agrees, this engine has a fault with the model: please report it"
    return error <= limit, f"largest error {error:.4g}", f"at most {limit:.4g}", advice


def _write_layers(target: Target, model: ExportedModel, job: BundleJob, out: Path) -> None:
    """The error of every tensor; like all that is computed, simulated where the engine cannot run."""
    samples = unstack(job.model.golden_inputs)[:LAYER_SAMPLES]
    rows = target.layer_errors(model, samples)
    how = f"float against quantized graph on {len(samples)} golden samples"
    kind = Kind.SIMULATED if target.absent(job.device) else Kind.MEASURED
    write_json(
        out / LAYERS,
        [
            {
                "name": row.name,
                "op": row.op,
                "sqnr": (
                    unavailable("sqnr", "the tensors are equal, or all zero")
                    if row.sqnr is None
                    else Metric(row.sqnr, "dB", kind, how)
                ).as_dict(),
                "max_error": Metric(row.max_error, "1", kind, how).as_dict(),
            }
            for row in rows
        ],
    )


def _tolerance(out: Path, precision: str) -> dict[str, float]:
    return tolerances(load_golden(out / GOLDEN).outputs, precision)
