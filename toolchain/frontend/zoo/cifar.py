"""Networks for CIFAR's images of 32x32, readable without torch."""

from __future__ import annotations

from toolchain.frontend.zoo.entry import CLASSIFICATION, ZooEntry


def _entry(name: str, title: str, module: str, *, stored: int, macs: int, citation: str) -> ZooEntry:
    return ZooEntry(
        name=name,
        title=f"{title}, image classification (CIFAR-10)",
        builder=f"toolchain.frontend.zoo.{module}:{name}",
        input_shape=(1, 3, 32, 32),
        layout="NCHW",
        classes=10,
        task=CLASSIFICATION,
        stored=stored,
        macs=macs,
        citation=citation,
    )


_HE = "He et al. 2016, arXiv:1512.03385, section 4.2; 1x1 convolutions as shortcuts (option B)"

ENTRIES = (
    _entry("resnet20", "ResNet-20", "cifar_resnet", stored=274_042, macs=40_813_184, citation=_HE),
    _entry("resnet32", "ResNet-32", "cifar_resnet", stored=469_370, macs=69_124_736, citation=_HE),
    _entry("resnet56", "ResNet-56", "cifar_resnet", stored=860_026, macs=125_747_840, citation=_HE),
    _entry(
        "wrn16_1",
        "Wide ResNet-16-1",
        "cifar_resnet",
        stored=175_994,
        macs=26_657_408,
        citation="Zagoruyko & Komodakis 2016, arXiv:1605.07146",
    ),
    _entry(
        "densenet40",
        "DenseNet-BC-40 (k = 12)",
        "cifar_densenet",
        stored=181_210,
        macs=72_365_352,
        citation="Huang et al. 2017, arXiv:1608.06993",
    ),
    _entry(
        "mobilenetv2_cifar",
        "MobileNetV2 0.5 for small images",
        "cifar_mobile",
        stored=607_674,
        macs=26_324_224,
        citation="Sandler et al. 2018, arXiv:1801.04381; strides for 32x32 are ours",
    ),
    _entry(
        "efficientnet_cifar",
        "EfficientNet-B0 0.5 for small images",
        "cifar_mobile",
        stored=1_099_356,
        macs=35_762_496,
        citation="Tan & Le 2019, arXiv:1905.11946; width and strides for 32x32 are ours",
    ),
    _entry(
        "micronet_m0",
        "MicroNet-M0 for small images",
        "micronet",
        stored=240_726,
        macs=823_648,
        citation="Li et al. 2021, arXiv:2108.05894; strides and head for 32x32 are ours",
    ),
    _entry(
        "condconv_mobilenet",
        "MobileNetV1 0.25 with kernels mixed per sample",
        "condconv",
        stored=716_242,
        macs=12_697_600,
        citation="Yang et al. 2019, arXiv:1904.04971; placement and strides for 32x32 are ours",
    ),
    _entry(
        "condconv_mobilenet_static",
        "The same with constant kernels: outputs are mixed",
        "condconv",
        stored=716_242,
        macs=29_343_744,
        citation="Yang et al. 2019, arXiv:1904.04971; placement and strides for 32x32 are ours",
    ),
)
