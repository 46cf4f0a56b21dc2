"""Does an exported file compute what the torch module computes?

The yardstick is the module run in float64, so that its own rounding is not mistaken for a fault of
the export. What a float32 engine may differ by follows from rounding: a dot product of n terms is off
by about sqrt(n) u relative to its terms (unit roundoff u = 2^-24; Higham 2002, sections 2.8 and 3.1),
and over a few dozen layers such errors add up like a random walk. For ResNet-50 (n up to 4608, 53
layers) that is some 3e-5 of the largest output; measured are 4e-7 on ONNX Runtime and 2e-6 on LiteRT.
RTOL = 1e-4 leaves that noise room; a wrong pad, axis or constant shows above it.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import VerificationError
from profiles.runner import Arrays
from targets.onnx_tools import save_onnx
from targets.reference import OnnxReference, TfliteReference
from toolchain.export.exported import Exported
from toolchain.export.locate import Attempt, locate, parity_failed
from toolchain.export.torch_program import ProgramReference
from toolchain.export.yardstick import reference_outputs

if TYPE_CHECKING:
    import torch

__all__ = [
    "ATOL",
    "RTOL",
    "OutputParity",
    "ParityError",
    "ParityReport",
    "check_parity",
    "compare",
    "measure_parity",
    "reference_outputs",
]

#: Tolerance relative to the largest magnitude of the reference output, and the absolute floor below it.
RTOL, ATOL = 1e-4, 1e-6


@dataclasses.dataclass(frozen=True)
class OutputParity:
    """One output: errors over all samples, in the output's own unit. ``scale`` is max |reference|."""

    name: str
    max_error: float
    tolerance: float
    scale: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance; an output that is not finite never is."""
        return self.max_error <= self.tolerance


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """How far an export is from its module.

    Attributes:
        format: ``onnx``, ``tflite`` or ``pt2``.
        outputs: one entry per output.
        samples: how many inputs were compared.
        reference: how the module was run, in words.
        engine: how the file was run, in words.
    """

    format: str
    outputs: tuple[OutputParity, ...]
    samples: int
    reference: str
    engine: str

    @property
    def worst(self) -> OutputParity:
        """The output that uses up most of its tolerance."""
        return max(self.outputs, key=lambda output: output.max_error / output.tolerance)

    @property
    def max_error(self) -> float:
        """Largest absolute error of the worst output, in its own unit."""
        return self.worst.max_error

    @property
    def tolerance(self) -> float:
        """What was allowed for the worst output."""
        return self.worst.tolerance

    @property
    def ok(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(output.ok for output in self.outputs)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for manifests and ``--json``."""
        return {**dataclasses.asdict(self), "max_error": self.max_error, "tolerance": self.tolerance, "ok": self.ok}


def check_parity(
    module: torch.nn.Module, exported: Exported, samples: Sequence[Arrays], rtol: float = RTOL, atol: float = ATOL
) -> ParityReport:
    """Compare an exported file with its module.

    Args:
        module: left as it is; a copy runs in float64.
        exported: what :func:`export_onnx`, :func:`export_tflite` or :func:`export_program` returned.
        samples: canonical inputs, at least one.
        rtol, atol: passes when max |error| <= rtol * max |reference| + atol, for every output.

    Raises:
        VerificationError: an output is off: names the output and the first layer that is off when
            exported alone.
        ModelError: the file cannot be run, or the module's own outputs are not finite.
        MissingToolError: the reference engine is not installed.
    """
    report = measure_parity(module, exported, samples, rtol, atol)
    if report.ok:
        return report
    attempt = _attempt(exported.format, rtol, atol)
    wrong = (sample for sample in samples if not measure_parity(module, exported, [sample], rtol, atol).ok)
    error = ParityError(report)
    culprit = locate(
        module, next(wrong, samples[0]), error, attempt, relevant=lambda failure: isinstance(failure, ParityError)
    )
    raise parity_failed(_TITLES[exported.format], culprit, str(error), f"at most {report.tolerance:.3g}")


class ParityError(Exception):
    """A parity check that failed, while the layer is being looked for."""

    def __init__(self, report: ParityReport) -> None:
        self.report = report
        worst = report.worst
        super().__init__(
            f"output '{worst.name}' is off by up to {worst.max_error:.3g} where values reach {worst.scale:.3g}"
        )


_TITLES = {"onnx": "ONNX", "tflite": "TFLite", "pt2": "PyTorch program"}


def _attempt(kind: str, rtol: float, atol: float) -> Attempt:
    """Export a layer alone and compare it."""

    def attempt(layer: torch.nn.Module, inputs: Arrays) -> None:
        with tempfile.TemporaryDirectory() as folder:
            exported = _bare_export(layer, inputs, Path(folder) / f"layer.{kind}", kind)
            report = measure_parity(layer, exported, [inputs], rtol, atol)
        if not report.ok:
            raise ParityError(report)

    return attempt


def _bare_export(layer: torch.nn.Module, inputs: Arrays, path: Path, kind: str) -> Exported:
    """An export without names for people, and without a search of its own."""
    from toolchain.export.onnx import convert_onnx
    from toolchain.export.tflite import convert_tflite
    from toolchain.export.torch_program import export_program

    if kind == "onnx":
        save_onnx(convert_onnx(layer, inputs)[0], path)
    elif kind == "tflite":
        path.write_bytes(convert_tflite(layer, inputs)[0])
    else:
        return export_program(layer, inputs, path)
    return Exported(path, kind, (), ())


def measure_parity(
    module: torch.nn.Module, exported: Exported, samples: Sequence[Arrays], rtol: float = RTOL, atol: float = ATOL
) -> ParityReport:
    """As :func:`check_parity`, without judging."""
    expected, description = reference_outputs(module, samples)
    engine = open_reference(exported)
    seen = [engine.run(sample) for sample in samples]
    names = list(expected[0])
    missing = [name for name in names if name not in seen[0]]
    if missing:
        raise VerificationError(
            f"wanted the outputs {', '.join(names)} in {exported.path.name}", seen=", ".join(seen[0]) or "none"
        )
    outputs = tuple(
        compare(name, [outputs[name] for outputs in expected], [outputs[name] for outputs in seen], rtol, atol)
        for name in names
    )
    return ParityReport(exported.format, outputs, len(samples), description, engine.description)


def open_reference(exported: Exported) -> OnnxReference | TfliteReference | ProgramReference:
    """The reference engine for a file, loaded."""
    if exported.format == "onnx":
        return OnnxReference(exported.path)
    if exported.format == "pt2":
        return ProgramReference(exported.path, tuple(spec.name for spec in exported.outputs))
    return TfliteReference(exported.path, exported.channel_last)


def compare(name: str, expected: Sequence[Any], seen: Sequence[Any], rtol: float, atol: float) -> OutputParity:
    """One output over all samples; a shape that differs or a value that is not finite counts as infinitely far."""
    scale = max(float(np.max(np.abs(values.astype(np.float64)), initial=0.0)) for values in expected)
    error = max(_distance(a, b) for a, b in zip(expected, seen, strict=True))
    return OutputParity(name, error, rtol * scale + atol, scale)


def _distance(expected: Any, seen: Any) -> float:
    if expected.shape != seen.shape or not np.isfinite(seen.astype(np.float64)).all():
        return float("inf")
    return float(np.max(np.abs(expected.astype(np.float64) - seen.astype(np.float64)), initial=0.0))
