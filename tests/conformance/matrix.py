"""One cell of the conformance matrix: one case, one target, one precision, and the verdict."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from conformance.oracles import int8_oracle, steps_off
from conformance.subjects import Subject

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Array, Counters, Runner
from targets.adapt import inputs_to_native, outputs_to_canonical
from targets.base import Compiled, ExportedModel, LayerError, Scheme, Target, Verdict
from targets.golden import sqnr_db
from targets.null.runner import null_outputs
from targets.registry import load_target, target_names
from toolchain.steps.data import stack

#: Largest error as a share of the reference's largest magnitude, above an absolute floor.
#: Rounding to fp16 is off by at most 2^-11 of a value, to bf16 by 2^-9 (Higham 2002, section 2.1); these
#: leave room for a few roundings in a row.
RTOL, ATOL = {"fp32": 1e-4, "fp16": 5e-3, "bf16": 3e-2}, 1e-5
#: Of int8 against float64 in dB, and of int8 against its oracle in steps of the output.
LEAST_SQNR, MOST_STEPS = 20.0, 2.0


class Judgement(str, enum.Enum):
    """The three verdicts."""

    OK = "OK"
    FAIL = "FAIL"
    NOT_SUPPORTED = "NOT_SUPPORTED"

    def __str__(self) -> str:
        return self.value


@dataclasses.dataclass(frozen=True)
class Limits:
    """What an int8 cell must keep: least SQNR in dB, most steps from the oracle."""

    sqnr: float = LEAST_SQNR
    steps: float = MOST_STEPS


@dataclasses.dataclass(frozen=True)
class Cell:
    """What came out.

    Attributes:
        reason: why not OK.
        error: largest error as a share of the reference's largest magnitude, over all outputs.
        sqnr: least signal to quantization noise ratio of all outputs in dB; None without noise.
        steps: largest distance to the int8 oracle in steps of the output; None where there is none.
        executed: compute layers by the precision that the engine ran them in.
        said: compute layers that ``support`` said would run in another precision.
        seconds: spent on this cell.
    """

    case: str
    target: str
    precision: str
    judgement: Judgement = Judgement.OK
    reason: str = ""
    error: float | None = None
    sqnr: float | None = None
    steps: float | None = None
    executed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    said: int = 0
    seconds: float = 0.0

    @property
    def in_float(self) -> int:
        """Compute layers that ran in floating point."""
        return sum(count for precision, count in self.executed.items() if precision != "int8")


def columns() -> list[tuple[str, str]]:
    """All (target, precision) pairs of this release."""
    return [
        (name, precision)
        for name in target_names()
        for precision in load_target(name).precisions
        if precision in RTOL or precision == "int8"
    ]


def judge(cell: Cell, subject: Subject, device: Device, folder: Path, limits: Limits) -> Cell:
    """Build one case for one target in one precision, run it, and compare.

    What raises after ``support`` said yes is a failure, whatever the exception.

    Args:
        cell: names the case, the target and the precision.
        subject: the case.
        device: to build for, which is this machine.
        folder: for files; it must not exist yet.
        limits: of int8.
    """
    start = time.perf_counter()
    backend = load_target(cell.target)
    model = subject.models[backend.formats[0]]
    if isinstance(model, UnsupportedError):
        return _not_supported(cell, model.seen)
    try:
        report = backend.support(model, device, cell.precision)
        if not report.ok:
            return _not_supported(cell, "; ".join(report.blockers()))
        said = sum(op.verdict is Verdict.FALLBACK for op in report.ops)
        cell = _Build(model, backend, device, subject).measure(dataclasses.replace(cell, said=said), folder)
    except Exception as error:  # a crash is a verdict here
        cell = _fail(cell, f"{type(error).__name__}: {' '.join(str(error).split())}")
    reason = "" if cell.judgement is Judgement.FAIL else _too_far(cell, limits)
    return dataclasses.replace(_fail(cell, reason) if reason else cell, seconds=time.perf_counter() - start)


def _not_supported(cell: Cell, reason: str) -> Cell:
    return dataclasses.replace(cell, judgement=Judgement.NOT_SUPPORTED, reason=" ".join(reason.split()))


def _fail(cell: Cell, reason: str) -> Cell:
    return dataclasses.replace(cell, judgement=Judgement.FAIL, reason=reason)


@dataclasses.dataclass(frozen=True)
class _Build:
    """One case on its way through one target."""

    model: ExportedModel
    backend: Target
    device: Device
    subject: Subject

    def measure(self, cell: Cell, folder: Path) -> Cell:
        work, bundle = folder / "work", folder / "bundle"
        work.mkdir(parents=True)
        bundle.mkdir()
        made = self.model
        if cell.precision != "fp32":
            made = self.backend.quantize(made, self.subject.calibration, self.device, Scheme(cell.precision), work)
        compiled = self.backend.compile(made, self.device, bundle)
        outputs, counters = self.run(compiled, bundle)
        if self.backend.name == "null":
            return _judge_null(cell, compiled, self.subject, outputs)
        steps = None
        if cell.precision == "int8":
            _check_layers(self.backend.layer_errors(made, self.subject.samples), counters)
            expected, scales = int8_oracle(self.backend.name, made, compiled, bundle, self.subject.samples)
            steps = steps_off(outputs, expected, scales)
        error, sqnr = _distance(stack(self.subject.expected), stack(outputs))
        return dataclasses.replace(cell, error=error, sqnr=sqnr, steps=steps, executed=dict(counters.executed))

    def run(self, compiled: Compiled, bundle: Path) -> tuple[list[dict[str, Array]], Counters]:
        """Canonical outputs of every sample, and the counters after the last one was bound and run."""
        absent = self.backend.absent(self.device)
        opened = emulator(self.backend.name, bundle, compiled) if absent else None
        native = [inputs_to_native(sample, self.model.inputs, compiled.inputs) for sample in self.subject.samples]
        with opened or self.backend.runner(bundle, compiled, self.device.as_dict()) as runner:
            raw = [runner.run(inputs) for inputs in native]
            if self.backend.name != "litert":  # LiteRT tells the precisions without running each layer alone
                runner.bind(native[-1])()
            counters = runner.counters()
        if absent:  # the compiler's plan tells the precisions
            counters = self.backend.static_counters(bundle, compiled)
        return [outputs_to_canonical(one, compiled.outputs, self.model.outputs) for one in raw], counters


def emulator(target: str, bundle: Path, compiled: Compiled) -> Runner:
    """What computes the outputs of a target whose engine cannot run here."""
    module = importlib.import_module(f"targets.{target}.emulate")
    runner: Runner = module.open_runner(bundle, compiled, {})
    return runner


def _judge_null(cell: Cell, compiled: Compiled, subject: Subject, outputs: list[dict[str, Array]]) -> Cell:
    """The null target computes a fixed function of the inputs, whatever the model."""
    for sample, seen in zip(subject.samples, outputs, strict=True):
        for name, wanted in null_outputs(sample, compiled.outputs).items():
            if not np.array_equal(seen[name], wanted):
                return _fail(cell, f"output '{name}' is not the null target's fixed function")
    return cell


def _check_layers(rows: list[LayerError], counters: Counters) -> None:
    """Per-layer errors must be about layers: rows with names of their own, operators, and figures."""
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), f"layer names must be unique: {names}"
    assert all(name and "/work" not in name and ".py" not in name for name in names), f"no layer names: {names}"
    assert all(row.op for row in rows), "every row names its operator"
    assert all(np.isfinite(row.max_error) for row in rows), "errors must be finite"
    assert all(row.sqnr is None or np.isfinite(row.sqnr) for row in rows), "SQNR is finite, or None"
    assert rows or not counters.executed.get("int8"), "int8 layers ran, and none of them has an error"


def _distance(expected: Mapping[str, Array], seen: Mapping[str, Array]) -> tuple[float, float | None]:
    """Largest error over all outputs as a share (above the floor), and the least SQNR."""
    errors = []
    for name, wanted in expected.items():
        if seen[name].shape != wanted.shape or not np.isfinite(seen[name].astype(np.float64)).all():
            return float("inf"), float("-inf")
        error = float(np.max(np.abs(seen[name].astype(np.float64) - wanted), initial=0.0))
        errors.append(max(error - ATOL, 0.0) / float(np.max(np.abs(wanted), initial=1e-30)))
    ratios = [sqnr_db(wanted, seen[name]) for name, wanted in expected.items()]
    return max(errors), min((ratio for ratio in ratios if ratio is not None), default=None)


def _too_far(cell: Cell, limits: Limits) -> str:
    """Why the numbers are not good enough; empty when they are."""
    if cell.error is None:
        return ""
    if cell.precision in RTOL:
        limit = RTOL[cell.precision]
        return "" if cell.error <= limit else f"error {cell.error:.2g} of the largest value, allowed {limit:g}"
    if cell.sqnr is not None and not cell.sqnr >= limits.sqnr:
        return f"SQNR {cell.sqnr:.1f} dB against float64, at least {limits.sqnr:g} dB wanted"
    if cell.steps is not None and not cell.steps <= limits.steps + 0.01:  # real values of whole steps are rounded
        return f"{cell.steps:.2f} steps from its own integer semantics, at most {limits.steps:g} allowed"
    return ""
