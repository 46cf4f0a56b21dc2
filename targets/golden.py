"""Golden samples: inputs with the outputs they must give, which travel with the bundle.

``golden.npz`` keeps, stacked over samples on the first axis: ``input/NAME`` in the artifact's layout
and dtype, ``output/NAME`` as the compiled bundle computed it when it was built, and ``float/NAME`` as
the float reference computed it (canonical layout).
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from profiles.errors import VerificationError
from profiles.runner import Array, Arrays
from targets.artifact import output_error

#: Largest difference between two machines' outputs that is still the same computation, as a share
#: of the output's largest magnitude; for int8 in quantization steps on top.
_SHARE = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1, "fp8": 1e-1, "int8": 2e-2, "int4": 2e-2}
_STEPS = 2.0


@dataclasses.dataclass(frozen=True)
class Golden:
    """The three stacks, keyed by tensor name."""

    inputs: Arrays
    outputs: Arrays
    reference: Arrays

    def sample(self, index: int) -> dict[str, Array]:
        """Inputs of one sample."""
        return {name: stack[index] for name, stack in self.inputs.items()}

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()))) if self.inputs else 0


def save_golden(path: Path, golden: Golden) -> None:
    """Write ``golden.npz``: equal arrays give equal bytes.

    Raises:
        OutputError: the place cannot be written, or the disk is full.
    """
    groups = {"input": golden.inputs, "output": golden.outputs, "float": golden.reference}
    save_arrays(path, {f"{group}/{name}": stack for group, arrays in groups.items() for name, stack in arrays.items()})


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write an ``.npz`` with entries in order of their names, of any spelling, undated and not compressed.

    Compressed bytes would depend on the version of zlib, and activations hardly get smaller.

    Raises:
        OutputError: the place cannot be written, or the disk is full.
    """
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(arrays):
                buffer = io.BytesIO()
                np.save(buffer, np.asarray(arrays[name], order="C"), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())
    except OSError as error:
        raise output_error(path, error) from error


#: What numpy and zipfile raise on damaged archives.
DAMAGE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def load_golden(path: Path) -> Golden:
    """Read ``golden.npz``.

    Raises:
        VerificationError: missing or damaged.
    """
    groups: dict[str, dict[str, Array]] = {"input": {}, "output": {}, "float": {}}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                group, name = key.split("/", 1)
                groups[group][name] = archive[key]
    except DAMAGE as error:
        raise VerificationError(
            f"wanted golden samples in {path.name}", seen=str(error), next_step="build the bundle again"
        ) from error
    return Golden(groups["input"], groups["output"], groups["float"])


def tolerances(outputs: Arrays, precision: str) -> dict[str, float]:
    """Per output, how far another machine's result may lie from the recorded one.

    In the output's own unit: quantization steps for quantized outputs (integers of up to 16 bits), real
    values for floats. Wider integers are indices and counts, and must agree.

    Raises:
        VerificationError: an output holds NaN or infinity, with which nothing can be compared.
    """
    allowed = {}
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise VerificationError(
                f"output '{name}' must be finite on the golden inputs",
                seen="NaN" if np.isnan(values).any() else "infinity",
                next_step="look for NaN in the weights and for overflows; run: edgewright diff BUNDLE",
            )
        if np.issubdtype(values.dtype, np.integer):
            allowed[name] = _STEPS if values.dtype.itemsize <= 2 else 0.0
        else:
            allowed[name] = _SHARE[precision] * float(np.max(np.abs(values), initial=0.0)) + 1e-6
    return allowed


def largest_error(outputs: Arrays, expected: Arrays) -> dict[str, float]:
    """Per output, the largest absolute difference; infinity where shapes differ or a value is not finite."""
    errors = {}
    for name, wanted in expected.items():
        seen = outputs.get(name)
        if seen is None or seen.shape != wanted.shape or not np.isfinite(seen.astype(np.float64)).all():
            errors[name] = float("inf")
        else:
            errors[name] = float(np.max(np.abs(seen.astype(np.float64) - wanted.astype(np.float64)), initial=0.0))
    return errors


def check_golden(outputs: Arrays, expected: Arrays, allowed: Mapping[str, float], where: str) -> float:
    """Compare outputs with the recorded ones; returns the largest error over all outputs.

    Raises:
        VerificationError: naming the output, the error and the tolerance.
    """
    errors = largest_error(outputs, expected)
    for name, error in errors.items():
        if not error <= allowed.get(name, 0.0):
            raise VerificationError(
                f"{where}: output '{name}' must equal the golden one",
                seen=f"largest difference {error:.4g}",
                allowed=f"at most {allowed.get(name, 0.0):.4g}",
                next_step="run: edgewright diff BUNDLE, and compare the tool versions in manifest.json",
            )
    return max(errors.values(), default=0.0)


def sqnr_db(reference: Array, seen: Array) -> float | None:
    """Signal to quantization noise ratio of one pair of arrays, see :func:`noise_ratio_db`."""
    wide = reference.astype(np.float64)
    return noise_ratio_db(float(np.sum(wide**2)), float(np.sum((wide - seen.astype(np.float64)) ** 2)))


def noise_ratio_db(signal: float, noise: float) -> float | None:
    """10 log10(sum r^2 / sum (r - s)^2) in dB, from the two sums; None without noise or without signal."""
    return 10 * float(np.log10(signal / noise)) if signal > 0 and noise > 0 else None
