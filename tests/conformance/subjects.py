"""Cases exported once for all targets; many of them in processes of their own, because torch's exporters are slow."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gc
import multiprocessing
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from conformance.cases import CASES

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.base import ExportedModel
from toolchain.steps.data import stack

GOLDEN_SAMPLES, CALIBRATION_SAMPLES = 4, 16
FORMATS = ("onnx", "tflite", "pt2")
#: How many cases are exported ahead, where so many are to come that a process of its own pays.
_AHEAD, _MANY = 3, 4


@dataclasses.dataclass(frozen=True)
class Subject:
    """One case, ready for targets.

    Attributes:
        name: of the case.
        models: by format, with golden inputs and float64 outputs; or why there is none.
        samples, calibration: canonical inputs, one mapping per sample.
        expected: outputs of the torch module in float64, one mapping per sample.
    """

    name: str
    models: Mapping[str, ExportedModel | UnsupportedError]
    samples: list[dict[str, Array]]
    calibration: list[dict[str, Array]]
    expected: list[dict[str, Array]]


def make_subject(name: str, root: Path) -> Subject:
    """Export one case to all formats below ``root``, and run its module in float64."""
    from toolchain.export.parity import reference_outputs

    case = next(case for case in CASES if case.name == name)
    module, samples = case.module(), case.samples(GOLDEN_SAMPLES, seed=1)
    expected, how = reference_outputs(module, samples)
    assert how == "torch, float64", f"{name}: the yardstick must be float64, and is: {how}"
    golden = {"golden_inputs": stack(samples), "golden_outputs": stack(expected), "reference": how}
    models = {kind: _export(module, samples[0], root / f"{name}.{kind}", golden) for kind in FORMATS}
    return Subject(name, models, samples, case.samples(CALIBRATION_SAMPLES, seed=2), expected)


def _export(module: Any, sample: Mapping[str, Array], out: Path, golden: Any) -> ExportedModel | UnsupportedError:
    from toolchain.export.onnx import export_onnx
    from toolchain.export.tflite import export_tflite
    from toolchain.export.torch_program import export_program

    kind = out.suffix[1:]
    gc.disable()  # the exporters' large graphs of objects make every collection slow
    try:
        exporters = {"onnx": export_onnx, "tflite": export_tflite, "pt2": export_program}
        exported = exporters[kind](module, sample, out)
    except UnsupportedError as error:
        return error
    finally:
        gc.enable()
    return ExportedModel(
        name=out.stem,
        inputs=exported.inputs,
        outputs=exported.outputs,
        tflite_channel_last=exported.channel_last,
        **{kind: exported.path},
        **golden,
    )


class Subjects:
    """All cases of a run, exported when they are first asked for, and the next ones ahead of that."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._order: list[str] = []
        self._made: dict[str, concurrent.futures.Future[Subject]] = {}
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def order(self, names: Iterable[str]) -> None:
        """In which order cases will be asked for; parts of it may be left out."""
        self._order = list(dict.fromkeys(names))

    def get(self, name: str) -> Subject:
        """One case; the next ones are begun in the background if they are many."""
        if name not in self._made and len(self._order) < _MANY:
            future: concurrent.futures.Future[Subject] = concurrent.futures.Future()
            future.set_result(make_subject(name, self._root))
            self._made[name] = future
        if len(self._order) >= _MANY:
            place = self._order.index(name)
            self._submit(self._order[place : place + 1 + _AHEAD])
        return self._made[name].result()

    def _submit(self, names: Iterable[str]) -> None:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            processes = 1 if "PYTEST_XDIST_WORKER" in os.environ else min(os.cpu_count() or 1, 2)
            self._pool = concurrent.futures.ProcessPoolExecutor(processes, mp_context=context)
        for name in names:
            if name not in self._made:
                self._made[name] = self._pool.submit(make_subject, name, self._root)

    def close(self) -> None:
        """End the background processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
