"""The reference networks of MLPerf Tiny, readable without torch."""

from __future__ import annotations

from toolchain.frontend.zoo.entry import CLASSIFICATION, RECONSTRUCTION, ZooEntry

_MLPERF_TINY = "Banbury et al. 2021, MLPerf Tiny Benchmark, arXiv:2106.07597"

ENTRIES = (
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
