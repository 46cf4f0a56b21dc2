"""What the frontend is asked for, as plain frozen data: the input, the model, the data, the training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean

#: ``on_progress(done, total, text)``: how far a long step is, for whoever shows it.
Progress = Callable[[int, int, str], None]

#: Layouts of a model's input; the empty one is for tensors whose axes have no agreed meaning.
LAYOUTS = ("NCHW", "NHWC", "NC", "")
PRECISIONS = ("auto", "fp32", "bf16")


def _check(ok: bool, wanted: str, seen: object, allowed: str = "", next_step: str = "") -> None:
    if not ok:
        raise ConfigError(wanted, seen=repr(seen), allowed=allowed, next_step=next_step)


def _choice(value: str, known: tuple[str, ...], what: str) -> None:
    _check(
        value in known, f"unknown {what}", value, ", ".join(name or "''" for name in known), did_you_mean(value, known)
    )


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """The one input of a model, and how raw values become what the model takes.

    real = (raw / scale - mean) / std, per channel when ``mean`` or ``std`` have one value per channel.

    Attributes:
        shape: all dimensions, the batch axis included: ``(1, 3, 32, 32)``.
        layout: ``NCHW``, ``NHWC``, ``NC`` (batch and features) or empty.
        name: as the exported model will call it.
        scale: what raw values are divided by; None means 255 for 8-bit sources, 1 for real numbers.
        mean, std: none, one, or one per channel, in units of ``raw / scale``.

    Raises:
        ConfigError: a dimension below 1, a layout that does not fit the shape, a zero ``std``.
    """

    shape: tuple[int, ...]
    layout: str = "NCHW"
    name: str = "input"
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _choice(self.layout, LAYOUTS, "input layout")
        _check(len(self.shape) >= 2, "an input needs a batch axis and at least one more", self.shape)
        _check(all(n >= 1 for n in self.shape), "every dimension of an input must be at least 1", self.shape)
        fits = not self.layout or len(self.layout) == len(self.shape)
        _check(fits, f"an input with layout {self.layout} has {len(self.layout)} dimensions", self.shape)
        _check(self.scale is None or (self._good(self.scale) and self.scale > 0), "scale must be above 0", self.scale)
        _check(all(math.isfinite(v) for v in self.mean), "mean must be finite", self.mean)
        _check(all(self._good(v) for v in self.std), "std must be finite and not 0", self.std)
        for label, values in (("mean", self.mean), ("std", self.std)):
            sizes = (0, 1, self.channels or 1)
            _check(len(values) in sizes, f"{label} needs one value, or one per channel", values, f"{sizes[1:]} values")

    @staticmethod
    def _good(value: float) -> bool:
        return math.isfinite(value) and value != 0

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape without the batch axis."""
        return self.shape[1:]

    @property
    def is_image(self) -> bool:
        """Whether the layout has height, width and channels."""
        return self.layout in ("NCHW", "NHWC")

    @property
    def channels(self) -> int | None:
        """Number of channels (or features), or None when the layout does not say."""
        return self.shape[self.layout.index("C")] if self.layout else None

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width in pixels, of images only."""
        return self.shape[self.layout.index("H")], self.shape[self.layout.index("W")]


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Which model to load.

    Attributes:
        source: ``zoo:NAME``, ``zoo:pytorchcv/NAME``, ``module:callable`` or a ``.pt2`` file.
        weights: a state dict, ``.pt`` or ``.safetensors``; None keeps the initial (seeded) weights.
        classes: number of outputs, where the source can choose.
        input: what it will be fed, where the source can adapt to it; None takes the source's default.
        seed: of the initial weights.
        root: the folder that relative paths and modules are looked up in.
        options: further keyword arguments for a ``module:callable``.
    """

    source: str
    weights: Path | None = None
    classes: int | None = None
    input: InputSpec | None = None
    seed: int = 0
    root: Path = Path()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.classes is None or self.classes >= 1, "classes must be at least 1", self.classes)


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Which data to load, and how to split it.

    Attributes:
        source: ``digits``, ``parquet:DIR``, ``folder:DIR``, ``npz:FILE`` or ``random``.
        image_column, label_column: of parquet files; None recognises the usual names.
        classes: names of the classes in order; empty takes them from the data.
        num_classes: how many there are, where labels are numbers and not all of them occur.
        calibration: number of calibration samples, taken from the training part.
        test_fraction: share of the samples that tests, where the source has no test part of its own.
        seed: of the split, and of ``random``.
        max_train, max_test: upper limits, for quick runs; classes stay balanced.
        samples: how many samples ``random`` makes for each part.
        root: the folder that relative paths start from.
    """

    source: str
    image_column: str | None = None
    label_column: str | None = None
    classes: tuple[str, ...] = ()
    num_classes: int | None = None
    calibration: int = 128
    test_fraction: float = 0.2
    seed: int = 0
    max_train: int | None = None
    max_test: int | None = None
    samples: int = 64
    root: Path = Path()

    def __post_init__(self) -> None:
        _check(self.calibration >= 1, "calibration needs at least one sample", self.calibration)
        _check(0 < self.test_fraction < 1, "test_fraction must lie between 0 and 1", self.test_fraction)
        for name in ("max_train", "max_test", "samples", "num_classes"):
            value = getattr(self, name)
            _check(value is None or value >= 1, f"{name} must be at least 1", value)
        agree = not self.classes or self.num_classes in (None, len(self.classes))
        _check(agree, f"num_classes is {self.num_classes}, but classes names {len(self.classes)}", self.classes)

    @property
    def class_count(self) -> int | None:
        """How many classes the spec fixes, or None when the data decides."""
        return len(self.classes) or self.num_classes


@dataclasses.dataclass(frozen=True)
class TrainSpec:
    """How to train: SGD with Nesterov momentum under a one-cycle schedule (Smith & Topin 2018, arXiv:1708.07120).

    Attributes:
        epochs, batch: passes over the training part, and samples per step (the last ones are evened out).
        lr: the peak of the learning rate.
        momentum, weight_decay: of SGD; decay acts on weights with two or more axes only.
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, section 7).
        augment: shift by up to 4 pixels and mirror left to right; for images of 24 pixels or more.
        precision: ``fp32``, ``bf16`` (autocast), or ``auto``: bf16 where the CPU has instructions for it.
        threads: upper limit for torch; 0 means all cores. Weights depend on it in the last bits.
        seed: of the order of samples, the augmentation and dropout.
    """

    epochs: int = 10
    batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    augment: bool = False
    precision: str = "auto"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _choice(self.precision, PRECISIONS, "training precision")
        _check(self.epochs >= 1, "epochs must be at least 1", self.epochs)
        _check(self.batch >= 2, "batch must be at least 2 (batch normalisation needs it)", self.batch)
        _check(math.isfinite(self.lr) and self.lr > 0, "lr must be above 0", self.lr)
        _check(0 < self.momentum < 1, "momentum must lie between 0 and 1", self.momentum)
        _check(math.isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay must be at least 0", self.lr)
        _check(0 <= self.label_smoothing < 1, "label_smoothing must lie between 0 and 1", self.label_smoothing)
        _check(self.threads >= 0, "threads must be at least 0", self.threads)
