"""The model zoo: one registry, readable without torch.

``ZOO`` lists the built-in networks; their definitions are imported when they are built. Names under
``pytorchcv/`` are looked up in that package (``toolchain/frontend/zoo/pytorchcv.py``).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean

if TYPE_CHECKING:
    import torch

CLASSIFICATION = "classification"
RECONSTRUCTION = "reconstruction"
TASKS = (CLASSIFICATION, RECONSTRUCTION)

_MLPERF_TINY = "Banbury et al. 2021, MLPerf Tiny Benchmark, arXiv:2106.07597"


@dataclasses.dataclass(frozen=True)
class ZooEntry:
    """One network.

    Attributes:
        name: as in ``zoo:NAME``.
        title: for people.
        builder: ``module:function`` that makes it.
        input_shape, layout: what it takes by default, the batch axis included.
        classes: default number of outputs (of values, for a reconstruction).
        task: ``classification`` (logits out) or ``reconstruction`` (the input again).
        stored: weights of the reference model, statistics of batch normalisation included.
        macs: multiply-accumulates of one inference at ``input_shape``.
        citation: where the architecture comes from.
    """

    name: str
    title: str
    builder: str
    input_shape: tuple[int, ...]
    layout: str
    classes: int
    task: str
    stored: int
    macs: int
    citation: str

    def build(self, *, classes: int | None = None, channels: int | None = None) -> torch.nn.Module:
        """The network in torch, with initial weights from torch's global random state.

        Args:
            classes: outputs of a classifier; None takes the default.
            channels: input channels (features, of an autoencoder); None takes the default.
        """
        module, function = self.builder.split(":")
        make = cast("Callable[..., Any]", getattr(importlib.import_module(module), function))
        channels = channels or self.input_shape[self.layout.index("C")]
        if self.task == RECONSTRUCTION:
            return make(features=channels)
        return make(classes=classes or self.classes, in_channels=channels)


_ENTRIES = (
    ZooEntry(
        name="resnet8",
        title="ResNet-8, image classification (CIFAR-10)",
        builder="toolchain.frontend.zoo.resnet8:resnet8",
        input_shape=(1, 3, 32, 32),
        layout="NCHW",
        classes=10,
        task=CLASSIFICATION,
        stored=78_666,
        macs=12_501_632,
        citation=f"{_MLPERF_TINY}, image classification; He et al. 2016, arXiv:1512.03385",
    ),
    ZooEntry(
        name="dscnn",
        title="DS-CNN, keyword spotting (Speech Commands)",
        builder="toolchain.frontend.zoo.dscnn:dscnn",
        input_shape=(1, 1, 49, 10),
        layout="NCHW",
        classes=12,
        task=CLASSIFICATION,
        stored=24_908,
        macs=2_656_768,
        citation=f"{_MLPERF_TINY}, keyword spotting; Zhang et al. 2017, arXiv:1711.07128",
    ),
    ZooEntry(
        name="mobilenet_v1_025",
        title="MobileNetV1 0.25, person detection (Visual Wake Words)",
        builder="toolchain.frontend.zoo.mobilenet:mobilenet_v1_025",
        input_shape=(1, 3, 96, 96),
        layout="NCHW",
        classes=2,
        task=CLASSIFICATION,
        stored=221_794,
        macs=7_489_664,
        citation=f"{_MLPERF_TINY}, visual wake words; Howard et al. 2017, arXiv:1704.04861",
    ),
    ZooEntry(
        name="fc_autoencoder",
        title="Fully connected autoencoder, anomaly detection (ToyADMOS)",
        builder="toolchain.frontend.zoo.autoencoder:fc_autoencoder",
        input_shape=(1, 640),
        layout="NC",
        classes=640,
        task=RECONSTRUCTION,
        stored=269_992,
        macs=264_192,
        citation=f"{_MLPERF_TINY}, anomaly detection; Koizumi et al. 2020, DCASE task 2, arXiv:2006.05822",
    ),
)

#: Every built-in network by name.
ZOO: dict[str, ZooEntry] = {entry.name: entry for entry in _ENTRIES}


def zoo_entry(name: str) -> ZooEntry:
    """The entry of ``zoo:NAME``.

    Raises:
        ConfigError: there is no such network; the nearest name is given.
    """
    if name in ZOO:
        return ZOO[name]
    raise ConfigError(
        "no such network in the zoo",
        seen=f"zoo:{name}",
        allowed=", ".join(f"zoo:{known}" for known in ZOO) + ", zoo:pytorchcv/NAME",
        next_step=did_you_mean(name, ZOO),
    )
