"""The project's samples, loaded only when a step that is not cached needs them."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array, Arrays
from targets.base import TensorSpec
from toolchain.cache import Cache, source_digest
from toolchain.frontend.data import data_fingerprint, load_data
from toolchain.frontend.data.dataset import Splits
from toolchain.frontend.specs import DataSpec, InputSpec
from toolchain.progress import Progress
from toolchain.project.models import Project

GOLDEN_SAMPLES = 8
_SEED = 20180214


class ProjectData:
    """The samples of one project for one model input."""

    def __init__(self, spec: DataSpec, input_spec: InputSpec, cache: Cache, progress: Progress) -> None:
        self.spec = spec
        self.input = input_spec
        self._cache = cache
        self._progress = progress

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of files and settings; does not decode anything."""
        return data_fingerprint(self.spec)

    @functools.cached_property
    def splits(self) -> Splits:
        """The three parts."""
        return load_data(self.spec, self.input)

    @property
    def random(self) -> bool:
        """Whether the samples are noise, so that no accuracy follows from them."""
        return self.spec.source == "random"

    def key(self) -> dict[str, object]:
        """What cached steps that read samples depend on."""
        return {"data": self.fingerprint, "input": self.input}

    @functools.cached_property
    def _prepared(self) -> Path:
        """Folder with calibration and golden samples and what else is known, from the cache where possible."""
        sources = source_digest("toolchain.frontend.data", "toolchain.steps.data")
        with self._progress.step(f"read samples of {self.spec.source}", numbered=False) as step:
            cached = self._cache.folder("samples", {**self.key(), "code": sources}, self._prepare)
            step.cached = cached.hit
        return cached.path

    def _prepare(self, out: Path) -> None:
        size = self.input.shape[0]
        np.savez(out / "calibration.npz", allow_pickle=False, **stack(list(self.splits.calibration.samples(size))))
        np.savez(out / "golden.npz", allow_pickle=False, **stack(list(_first(self.splits.test.samples(size)))))
        test = self.splits.test
        facts = {"labelled": self.splits.labelled, "tests": len(test), "classes": len(self.splits.classes)}
        (out / "facts.json").write_text(json.dumps({**facts, "notes": self.splits.notes}))

    @property
    def calibration(self) -> Path:
        """``.npz`` with stacked canonical calibration samples."""
        return self._prepared / "calibration.npz"

    def golden(self) -> dict[str, Array]:
        """The first test samples, stacked."""
        with np.load(self._prepared / "golden.npz", allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """``labelled``, ``tests`` (their number), ``classes`` (their number) and ``notes``."""
        facts: dict[str, Any] = json.loads((self._prepared / "facts.json").read_text())
        for note in facts["notes"]:
            self._progress.note(note)
        return facts

    def tests(self) -> Iterator[tuple[dict[str, Array], Array | None]]:
        """All test batches with their labels; a short last one is filled up, and has fewer labels than samples."""
        test, size = self.splits.test, self.input.shape[0]
        for values, labels in test.batches(size):
            missing = size - len(values)
            filled = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values
            yield {self.input.name: filled}, labels


def _first(samples: Iterator[dict[str, Array]]) -> Iterator[dict[str, Array]]:
    return itertools.islice(samples, GOLDEN_SAMPLES)


def stack(samples: list[dict[str, Array]]) -> dict[str, Array]:
    """Samples of equal shapes on a new first axis.

    Raises:
        DataError: there is none.
    """
    if not samples:
        raise DataError("wanted samples for the model's batch size", seen="none", next_step="use a smaller batch size")
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def project_data(
    project: Project, inputs: tuple[TensorSpec, ...], cache: Cache, progress: Progress
) -> ProjectData | None:
    """The data of a project, or None where it names none.

    Raises:
        DataError: data sets feed models with one input only.
    """
    if project.data is None:
        return None
    if len(inputs) != 1:
        raise DataError(
            "a data set feeds a model with one input",
            seen=f"{len(inputs)} inputs: {', '.join(spec.name for spec in inputs)}",
            next_step="leave out [data]; inputs are then random, and accuracy is unavailable",
        )
    section = project.data
    spec = DataSpec(
        source=_source(section.source.kind, section.source.path),
        image_column=section.image_column,
        label_column=section.label_column,
        classes=project.model.labels,
        num_classes=None if project.model.labels else project.model.classes,
        calibration=section.calibration,
        test_fraction=section.test_fraction,
        seed=section.seed,
        max_train=section.train,
        max_test=section.test,
        root=project.folder,
    )
    return ProjectData(spec, frontend_input(project, inputs[0]), cache, progress)


def _source(kind: str, path: Path | None) -> str:
    return kind if path is None else f"{kind}:{path}"


def frontend_input(project: Project, spec: TensorSpec) -> InputSpec:
    """How raw samples become what the model takes: the project's words, else the model's own."""
    said = project.model.input[0] if project.model.input else None
    scale = (said.scale if said else None) or _scale_of(spec)
    layout = (said.layout if said else "") or spec.layout
    return InputSpec(spec.shape, layout, spec.name, scale, said.mean if said else (), said.std if said else ())


def _scale_of(spec: TensorSpec) -> float | None:
    """1 for a quantized image input that reaches beyond 128: it takes raw pixels; else the frontend's default.

    A negative zero point is that of a signed type, whose highest step is 127; else it is taken as 255.
    """
    if spec.scale is None or len(spec.shape) != 4:
        return None
    zero_point = spec.zero_point or 0
    highest = spec.scale * ((127 if zero_point < 0 else 255) - zero_point)
    return 1.0 if highest > 128 else None


def random_inputs(specs: tuple[TensorSpec, ...], count: int = GOLDEN_SAMPLES) -> dict[str, Array]:
    """Stacked random inputs, the same on every machine: standard normal, or small integers for integer inputs."""
    generator = np.random.default_rng(_SEED)
    made: dict[str, Array] = {}
    for spec in specs:
        shape = (count, *spec.shape)
        if np.issubdtype(np.dtype(spec.dtype), np.integer) and spec.scale is None:
            made[spec.name] = generator.integers(0, 2, shape).astype(spec.dtype)
        else:
            made[spec.name] = generator.standard_normal(shape, dtype=np.float32)
    return made


def unstack(stacked: Arrays) -> list[dict[str, Array]]:
    """The inverse of :func:`stack`."""
    count = len(next(iter(stacked.values())))
    return [{name: values[index] for name, values in stacked.items()} for index in range(count)]
