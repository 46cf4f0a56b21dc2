"""Lightweight networks, as students (``distill``'s ``student``) or in the model's place (``model.source``)."""

from __future__ import annotations

import dataclasses

from toolchain.compress.catalogue.method import Method, Saving
from toolchain.frontend.zoo import ZOO


@dataclasses.dataclass(frozen=True)
class Network(Method):
    """A network to start from.

    Attributes:
        source: as ``model.source`` and ``distill.student`` take it.
        params, macs: trainable parameters, and multiply-accumulates of one inference at ``input_shape``.
        input_shape: NCHW, the batch axis included. Other sizes of images work too.
    """

    source: str = ""
    params: int = 0
    macs: int = 0
    input_shape: tuple[int, ...] = (1, 3, 224, 224)


_FAMILY = "lightweight networks"
_SMALL = (Saving("parameters"), Saving("MACs"))
_DEPTHWISE = "Depthwise convolutions wait for memory: MACs fall more than latency does, most so on GPUs."
_SEARCHED = "Searched for phones: elsewhere another network of as many MACs may be faster."


def _theirs(name: str, function: str, size: tuple[int, int], *, title: str, paper: str, limits: str) -> Network:
    """One of pytorchcv's networks; ``function`` is ``MODULE:NAME`` there, ``size`` parameters and MACs."""
    module, _, network = function.partition(":")
    return Network(
        name=name,
        step="start",
        family=_FAMILY,
        title=title,
        paper=paper,
        implementation=f"pytorchcv.models.{module}:{network}",
        saves=_SMALL,
        library="pytorchcv",
        needs=("data", "labels", "training"),
        tasks=("classification",),
        limits=limits,
        source=f"zoo:pytorchcv/{network}",
        params=size[0],
        macs=size[1],
    )


def _ours(
    name: str, source: str, params: int, *, title: str, paper: str, limits: str, saves: tuple[Saving, ...] = _SMALL
) -> Network:
    entry = ZOO[source]
    return Network(
        name=name,
        step="start",
        family=_FAMILY,
        title=title,
        paper=paper,
        implementation=entry.builder,
        saves=saves,
        needs=("data", "labels", "training"),
        tasks=("classification",),
        limits=limits,
        source=f"zoo:{source}",
        params=params,
        macs=entry.macs,
        input_shape=entry.input_shape,
    )


METHODS: tuple[Method, ...] = (
    _theirs(
        "squeezenet",
        "squeezenet:squeezenet_v1_1",
        (1_235_496, 349_151_936),
        title="Squeeze by 1x1, expand by 1x1 and 3x3 side by side",
        paper="Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, arXiv:1602.07360",
        limits="Few parameters, but more MACs and memory traffic than a MobileNet of the same accuracy.",
    ),
    _theirs(
        "squeezenext",
        "squeezenext:sqnxt23_w1",
        (724_056, 275_920_640),
        title="Two squeezes, then 3x1 and 1x3 convolutions",
        paper="Gholami et al. 2018, SqueezeNext: hardware-aware neural network design, arXiv:1803.10615",
        limits="Many small layers one after the other: engines that start a kernel per layer wait for the starts.",
    ),
    _theirs(
        "mobilenet_v1",
        "mobilenet:mobilenet_w1",
        (4_231_976, 568_740_352),
        title="Depthwise, then pointwise convolutions",
        paper="Howard et al. 2017, MobileNets: efficient convolutional neural networks, arXiv:1704.04861",
        limits=_DEPTHWISE,
    ),
    _theirs(
        "mobilenet_v2",
        "mobilenetv2:mobilenetv2_w1",
        (3_504_960, 313_619_328),
        title="Inverted residuals with linear bottlenecks",
        paper="Sandler et al. 2018, MobileNetV2: inverted residuals and linear bottlenecks, arXiv:1801.04381",
        limits=f"The widened activations decide how much RAM is needed. {_DEPTHWISE}",
    ),
    _theirs(
        "mobilenet_v3",
        "mobilenetv3:mobilenetv3_large_w1",
        (5_481_752, 216_589_760),
        title="Searched inverted residuals with squeeze-and-excitation and hard swish",
        paper="Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244",
        limits=f"Gates and hard swish cost time that MACs do not show, and accuracy in int8. {_DEPTHWISE}",
    ),
    _theirs(
        "shufflenet_v1",
        "shufflenet:shufflenet_g3_w1",
        (1_865_728, 137_460_672),
        title="Grouped pointwise convolutions with channel shuffle",
        paper="Zhang et al. 2018, ShuffleNet: an extremely efficient convolutional neural network, arXiv:1707.01083",
        limits="Grouped pointwise convolutions and shuffles (transpositions) have slow kernels on most engines.",
    ),
    _theirs(
        "shufflenet_v2",
        "shufflenetv2:shufflenetv2_w1",
        (2_278_604, 144_907_992),
        title="Channel split, one half through, shuffle: made for measured speed",
        paper="Ma et al. 2018, ShuffleNet V2: practical guidelines for efficient CNN architecture, arXiv:1807.11164",
        limits=f"Splits, concatenations and shuffles move memory. {_DEPTHWISE}",
    ),
    _theirs(
        "ghostnet",
        "ghostnet:ghostnet",
        (5_180_840, 140_760_880),
        title="Half of the channels computed, the others derived by depthwise convolutions",
        paper="Han et al. 2020, GhostNet: more features from cheap operations, arXiv:1911.11907",
        limits=f"Few MACs, not few parameters; concatenations move memory. {_DEPTHWISE}",
    ),
    _theirs(
        "mnasnet",
        "mnasnet:mnasnet_a1",
        (3_887_038, 311_579_072),
        title="Searched for latency that was measured on a phone",
        paper="Tan et al. 2019, MnasNet: platform-aware neural architecture search for mobile, arXiv:1807.11626",
        limits=f"{_SEARCHED} {_DEPTHWISE}",
    ),
    _theirs(
        "fbnet",
        "fbnet:fbnet_cb",
        (5_572_200, 384_960_160),
        title="Differentiable search with a table of latencies",
        paper="Wu et al. 2019, FBNet: hardware-aware efficient ConvNet design, arXiv:1812.03443",
        limits=f"{_SEARCHED} {_DEPTHWISE}",
    ),
    _theirs(
        "efficientnet",
        "efficientnet:efficientnet_b0",
        (5_288_548, 385_814_752),
        title="Depth, width and resolution scaled together",
        paper="Tan & Le 2019, EfficientNet: rethinking model scaling for CNNs, arXiv:1905.11946",
        limits=f"Gates and SiLU cost time that MACs do not show, and accuracy in int8. {_DEPTHWISE}",
    ),
    _theirs(
        "igcv3",
        "igcv3:igcv3_w1",
        (3_491_688, 312_970_176),
        title="Interleaved low-rank group convolutions",
        paper="Sun et al. 2018, IGCV3: interleaved low-rank group convolutions, arXiv:1806.00178",
        limits=f"Grouped pointwise convolutions and shuffles have slow kernels on most engines. {_DEPTHWISE}",
    ),
    _theirs(
        "condensenet",
        "condensenet:condensenet74_c4_g4",
        (4_773_944, 516_640_576),
        title="Dense blocks with learned group convolutions",
        paper="Huang et al. 2018, CondenseNet: DenseNet with learned group convolutions, arXiv:1711.09224",
        limits="Selecting channels by an index and concatenating them moves memory; kept maps need RAM.",
    ),
    _ours(
        "micronet",
        "micronet_m0",
        236_514,
        title="MicroNet-M0: micro-factorized convolutions and Dynamic Shift-Max, for 32x32",
        paper="Li et al. 2021, MicroNet: improving image recognition with extremely low FLOPs, arXiv:2108.05894",
        limits="Tiny grouped layers and factors per sample: MACs fall far more than latency does on any engine here.",
    ),
    _ours(
        "condconv",
        "condconv_mobilenet",
        710_770,
        title="MobileNetV1 0.25 whose kernels are mixed per sample, for 32x32",
        paper="Yang et al. 2019, CondConv: conditionally parameterized convolutions, arXiv:1904.04971",
        limits="More parameters, not fewer. Computed kernels run neither in int8 on LiteRT nor on microcontrollers: "
        "there zoo:condconv_mobilenet_static computes the same with constant kernels and four times the MACs.",
        saves=(Saving("MACs", "engines that convolve with computed kernels: ONNX Runtime, OpenVINO, LiteRT in float"),),
    ),
)
