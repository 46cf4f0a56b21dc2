"""What a compression step may use beside the model: inputs, data, training, a teacher, a clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from profiles.errors import DataError, ModelError
from profiles.runner import Array
from toolchain.frontend.data import DataSet, Splits
from toolchain.frontend.specs import InputSpec, ModelSpec, Progress, TrainSpec

if TYPE_CHECKING:
    import torch

    from toolchain.frontend.train.feed import Batch, Feed
    from toolchain.frontend.train.hooks import Hook, Objective

#: Seconds of one inference of a module on the device with this name.
Latency = Callable[["torch.nn.Module", str], float]


class Feeds:
    """The feed that was opened last, so that methods which ask for batches often upload the samples once.

    Contexts that were made from each other share it. It is no part of what a context is: all of them are equal, and
    what is copied or pickled is empty.
    """

    def __init__(self) -> None:
        self._opened: tuple[DataSet, str, Feed] | None = None

    def open(self, data: DataSet, training: TrainSpec, device: str) -> Feed:
        """A feed of samples as they are (not augmented), on ``device``."""
        from toolchain.frontend.train.feed import open_feed

        if self._opened is None or self._opened[0] is not data or self._opened[1] != device:
            self._opened = None  # frees the device's memory first
            plain = dataclasses.replace(training, augment=False)
            self._opened = (data, device, open_feed(data, plain, device))
        return self._opened[2]

    def __reduce__(self) -> tuple[type[Feeds], tuple[()]]:
        return Feeds, ()


@dataclasses.dataclass(frozen=True)
class Context:
    """Everything around the model.

    Attributes:
        inputs: one inference's canonical inputs by name, in the order of ``forward``'s arguments.
        data: the samples, or None.
        task: ``classification`` or ``reconstruction``.
        seed: of everything that is drawn.
        training: a template for recovery; steps set epochs and learning rate.
        device: torch device to train and score on; models stay on the CPU between steps.
        root: the folder that relative paths and user modules are looked up in.
        work: a folder for checkpoints, or None: then nothing is kept.
        classes, input: how students and teachers are made, where the project says so.
        progress: shows how far a step is.
        latency: measures a module on a named device; None where nobody can.
        round_to: channel counts that the devices' kernels like are multiples of this.
        start: the model as the recipe got it, in eval mode: the teacher where no other is named. Not to be changed.
        keep_zeros: weights that are zero when :meth:`fit` begins stay zero; set after a step that made some.
        feeds: remembers the samples on the device.
    """

    inputs: Mapping[str, Array]
    data: Splits | None = None
    task: str = "classification"
    seed: int = 0
    training: TrainSpec = dataclasses.field(default_factory=TrainSpec)
    device: str = "cpu"
    root: Path = Path()
    work: Path | None = None
    classes: int | None = None
    input: InputSpec | None = None
    progress: Progress | None = None
    latency: Latency | None = None
    round_to: int = 1
    start: torch.nn.Module | None = None
    keep_zeros: bool = False
    feeds: Feeds = dataclasses.field(default_factory=Feeds, repr=False, compare=False)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """One inference's inputs as torch tensors."""
        from toolchain.export.modules import to_tensors

        return to_tensors(self.inputs)

    def samples(self, purpose: str, *, labels: bool = False) -> Splits:
        """The data.

        Args:
            purpose: for the error: ``"the method 'taylor'"``.
            labels: whether labels are needed too.

        Raises:
            DataError: there is none, it is empty, or it has no labels.
        """
        if self.data is None or not len(self.data.train):
            seen = "none" if self.data is None else "an empty training part"
            raise DataError(f"{purpose} needs training samples", seen=seen, next_step="add a [data] section, or data=")
        if labels and self.data.train.labels is None:
            seen = f"{self.data.source} has none"
            raise DataError(f"{purpose} needs labels", seen=seen, next_step="give data with labels")
        return self.data

    def batches(self, purpose: str, count: int, size: int = 128, *, labels: bool = False) -> Iterator[Batch]:
        """``count`` batches of training samples as they are (not augmented), drawn by ``seed``; on ``device``."""
        data = self.samples(purpose, labels=labels).train
        generator = np.random.default_rng(self.seed)
        order = generator.permutation(len(data))
        feed = self.feeds.open(data, self.training, self.device)
        for index in range(count):
            rows = order[(np.arange(size) + index * size) % len(order)] if len(order) >= size else order
            yield feed.batch(rows, generator)

    def fit(
        self,
        model: torch.nn.Module,
        purpose: str,
        *,
        epochs: int,
        lr: float | None = None,
        objective: Objective | None = None,
        hooks: Sequence[Hook] = (),
    ) -> list[float]:
        """Train in place with the template's settings; the mean loss of every epoch. No epochs: nothing happens.

        With a folder to work in, the checkpoint stays there when the training is done, so that a method which trains
        several times goes on where it was stopped; whoever gave the folder removes it.

        Raises:
            DataError: there is nothing to train with.
            ModelError: the loss is not finite; the model has the weights of the last good epoch.
        """
        from toolchain.frontend.train import train
        from toolchain.frontend.train.environment import resolve_precision

        if epochs == 0:
            return []
        data = self.samples(purpose, labels=objective is None and self.task == "classification")
        precision = resolve_precision(self.training.precision, self.device)
        spec = dataclasses.replace(self.training, epochs=epochs, lr=lr or self.training.lr, seed=self.seed)
        spec = dataclasses.replace(spec, precision=precision)
        around = [*hooks, *self._own_hooks()]
        path = self._checkpoint(model, purpose, data.digest, spec, (objective, *around))
        with _telling_of(path):
            result = train(
                model,
                data,
                spec,
                task=self.task,
                checkpoint=path,
                on_progress=self.progress,
                objective=objective,
                hooks=around,
                device=self.device,
            )
        return list(result.losses)

    def _own_hooks(self) -> list[Hook]:
        from toolchain.compress.zeros import KeepZeros

        return [KeepZeros()] if self.keep_zeros else []

    def _checkpoint(
        self, model: torch.nn.Module, purpose: str, digest: str, spec: TrainSpec, extras: Sequence[object]
    ) -> Path | None:
        """One file per training: by what it starts from, and by what it does."""
        from toolchain.frontend.train.checkpoint import checkpoint_name, run_identity

        if self.work is None:
            return None
        run = run_identity(model, digest, spec, self.task, *(repr(extra) for extra in extras if extra is not None))
        return self.work / checkpoint_name(f"{purpose} {run}")

    def accuracy(self, model: torch.nn.Module, *, samples: int | None = None, training: bool = False) -> float:
        """Top-1 on the test part (or on training samples), from 0 to 1; on ``device``, the model comes back.

        Args:
            model: in eval mode.
            samples: the first so many only.
            training: score on training samples, for decisions that must not see the test part.

        Raises:
            DataError: no samples, or no labels.
        """
        from toolchain.frontend.train import evaluate
        from toolchain.frontend.train.environment import at_home

        data = self.samples("an accuracy", labels=True)
        part = data.train if training else data.test
        if samples is not None and samples < len(part):
            few = slice(0, samples)
            labels = None if part.labels is None else part.labels[few]
            part = dataclasses.replace(part, rows=part.rows[few], labels=labels)
        with at_home(model):
            model.to(self.device).eval()
            return evaluate(model, part, batch=512, threads=self.training.threads)

    def load(self, source: str, weights: Path | None) -> torch.nn.Module:
        """Another model for the same task, such as a teacher, in eval mode on the CPU.

        Raises:
            ConfigError, ModelError: as :func:`toolchain.frontend.source.load_module`.
        """
        from toolchain.frontend.source import load_module

        return load_module(ModelSpec(source, weights, self.classes, self.input, self.seed, self.root))


@contextmanager
def _telling_of(checkpoint: Path | None) -> Iterator[None]:
    """Where the last good checkpoint of a training that diverged lies."""
    try:
        yield
    except ModelError as error:
        if checkpoint is None or not checkpoint.is_file():
            raise
        there = f"{error.next_step}; the last good checkpoint is {checkpoint}"
        raise ModelError(error.wanted, seen=error.seen, allowed=error.allowed, next_step=there) from error
