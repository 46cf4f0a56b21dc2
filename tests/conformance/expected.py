"""What the matrix is known to lack, from ``expected.toml``: data with reasons, checked in both directions."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

from conformance.matrix import MOST_STEPS, Limits

#: Steps of the output by target, where they are not the usual ones: firmware computes what its oracle computes, to
#: the bit; between int8 values TensorRT computes in fp16, whose rounding differs from one implementation to the next.
STEPS = {"tflite_micro": 0.0, "tensorrt": 6.0}
PATH = Path(__file__).with_name("expected.toml")


@dataclasses.dataclass(frozen=True)
class NotSupported:
    """A case that a target cannot build.

    Attributes:
        case, target: the cell.
        reason: part of what the target says.
        why: for people.
        precision: the only one that it cannot build; empty for all.
    """

    case: str
    target: str
    reason: str
    why: str
    precision: str = ""


@dataclasses.dataclass(frozen=True)
class InFloat:
    """Layers of an int8 bundle that the engine computes in float although ``support`` could not know."""

    case: str
    target: str
    layers: int
    why: str


@dataclasses.dataclass(frozen=True)
class Steps:
    """How many steps of its output an int8 bundle may be off its own integer semantics, where it is more than usual."""

    case: str
    target: str
    most: float
    why: str


@dataclasses.dataclass(frozen=True)
class Expected:
    """The whole file."""

    not_supported: tuple[NotSupported, ...]
    in_float: tuple[InFloat, ...]
    steps: tuple[Steps, ...]

    def missing(self, case: str, target: str, precision: str) -> NotSupported | None:
        """The entry for a case that a target cannot build in that precision, or None."""
        found = (entry for entry in self.not_supported if (entry.case, entry.target) == (case, target))
        return next((entry for entry in found if entry.precision in ("", precision)), None)

    def floats(self, case: str, target: str) -> InFloat | None:
        """The entry for a case whose int8 bundle computes in float, or None."""
        return next((entry for entry in self.in_float if (entry.case, entry.target) == (case, target)), None)

    def limits(self, case: str, target: str) -> Limits:
        """What an int8 bundle must keep."""
        known = next((entry for entry in self.steps if (entry.case, entry.target) == (case, target)), None)
        if known:
            return Limits(steps=known.most)
        return Limits(steps=STEPS.get(target, MOST_STEPS))


def load_expected(path: Path = PATH) -> Expected:
    """Read the file; an unknown or missing key is a TypeError."""
    data = tomllib.loads(path.read_text())
    return Expected(
        tuple(NotSupported(**entry) for entry in data.pop("not_supported", [])),
        tuple(InFloat(**entry) for entry in data.pop("in_float", [])),
        tuple(Steps(**entry) for entry in data.pop("steps", [])),
        **data,
    )
