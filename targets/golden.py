"""Golden samples: inputs with the outputs they must give, which travel with the bundle.

``golden.npz`` keeps, stacked over samples on the first axis: ``input/NAME`` in the artifact's layout
and dtype, ``output/NAME`` as the compiled bundle computed it when it was built, and ``float/NAME`` as
the float reference computed it (canonical layout).
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from profiles.errors import VerificationError
from profiles.runner import Array, Arrays

#: Largest difference between two machines' outputs that is still the same computation, as a share
#: of the output's largest magnitude; for int8 in quantization steps on top.
_SHARE = {"fp32": 1e-4, "fp16": 2e-2, "bf16": 1e-1, "int8": 2e-2}
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
    """Write ``golden.npz``: equal arrays give equal bytes."""
    groups = {"input": golden.inputs, "output": golden.outputs, "float": golden.reference}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for group, arrays in groups.items():
            for name, values in arrays.items():
                buffer = io.BytesIO()
                np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{group}/{name}.npy"), buffer.getvalue())


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
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise VerificationError(
            f"wanted golden samples in {path.name}", seen=str(error), next_step="build the bundle again"
        ) from error
    return Golden(groups["input"], groups["output"], groups["float"])


def tolerances(outputs: Arrays, precision: str) -> dict[str, float]:
    """Per output, how far another machine's result may lie from the recorded one.

    In the output's own unit: quantization steps for integer outputs, real values otherwise.
    """
    allowed = {}
    for name, values in outputs.items():
        if np.issubdtype(values.dtype, np.integer):
            allowed[name] = _STEPS
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
        if not error <= allowed[name]:
            raise VerificationError(
                f"{where}: output '{name}' must equal the golden one",
                seen=f"largest difference {error:.4g}",
                allowed=f"at most {allowed[name]:.4g}",
                next_step="run: edgewright diff BUNDLE, and compare the tool versions in manifest.json",
            )
    return max(errors.values(), default=0.0)


def sqnr_db(reference: Array, seen: Array) -> float | None:
    """Signal to quantization noise ratio, 10 log10(sum r^2 / sum (r - s)^2), in dB.

    None when there is no noise at all, or no signal.
    """
    signal = float(np.sum(reference.astype(np.float64) ** 2))
    noise = float(np.sum((reference.astype(np.float64) - seen.astype(np.float64)) ** 2))
    return 10 * float(np.log10(signal / noise)) if signal > 0 and noise > 0 else None
