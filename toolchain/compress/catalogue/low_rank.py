"""Methods of the family; see ``toolchain/compress/catalogue/method.py``."""

from __future__ import annotations

from toolchain.compress.catalogue.method import NOWHERE, STORED, Method, Saving

_FAMILY = "low rank"
_RUN = "toolchain.compress.lowrank.run"
_SMALLER = (Saving("parameters"), Saving("MACs"), Saving("stored bytes"))
_THIN = "Several thin layers in a row can be slower than one thick one: measure on the device."
_INT8 = "In int8, OpenVINO leaves the first of two linear factors in float."
_TWO = f"{_THIN} {_INT8}"

METHODS: tuple[Method, ...] = (
    Method(
        name="svd",
        step="lowrank",
        family=_FAMILY,
        title="Truncated SVD: k x k to R channels, then 1x1",
        paper="Denton et al. 2014, Exploiting linear structure within convolutional networks for efficient evaluation, "
        "arXiv:1404.0736",
        implementation=f"{_RUN}:svd",
        saves=_SMALLER,
        limits=_TWO,
    ),
    Method(
        name="svd_data",
        step="lowrank",
        family=_FAMILY,
        title="SVD weighted by the covariance of inputs and of the loss's gradients, last factors by least squares",
        paper="Chen et al. 2021, DRONE: data-aware low-rank compression, NeurIPS; "
        "Martens & Grosse 2015, arXiv:1503.05671; Zhang et al. 2016, arXiv:1505.06798",
        implementation=f"{_RUN}:svd_data",
        saves=_SMALLER,
        needs=("data",),
        limits=_TWO,
    ),
    Method(
        name="separable",
        step="lowrank",
        family=_FAMILY,
        title="k x k as k x 1, then 1 x k",
        paper="Jaderberg, Vedaldi & Zisserman 2014, Speeding up convolutional neural networks with low rank "
        "expansions, arXiv:1405.3866, scheme 2",
        implementation=f"{_RUN}:separable",
        saves=_SMALLER,
        limits="Kernels of kx1 and 1xk are less tuned than 3x3 in most libraries. " + _TWO,
    ),
    Method(
        name="tucker2",
        step="lowrank",
        family=_FAMILY,
        title="1x1, a small k x k core, 1x1; with data also mended by least squares",
        paper="Kim et al. 2016, Compression of deep convolutional neural networks for fast and low power mobile "
        "applications, arXiv:1511.06530",
        implementation=f"{_RUN}:tucker2",
        saves=_SMALLER,
        limits="Small channel counts leave little to save. " + _TWO,
    ),
    Method(
        name="cp",
        step="lowrank",
        family=_FAMILY,
        title="CP: 1x1, k x 1 and 1 x k on every channel by itself, 1x1",
        paper="Lebedev et al. 2015, Speeding-up convolutional neural networks using fine-tuned "
        "CP-decomposition, arXiv:1412.6553",
        implementation=f"{_RUN}:cp",
        saves=_SMALLER,
        library="TensorLy",
        limits="Needs fine-tuning (epochs) with a low learning rate; depthwise layers reach little of a "
        "device's peak speed. " + _TWO,
    ),
    Method(
        name="bn_lowrank",
        step="lowrank",
        family=_FAMILY,
        title="k x 1 and 1 x k with batch normalisation in between, trained from scratch",
        paper="Tai et al. 2016, Convolutional neural networks with low-rank regularization, arXiv:1511.06067",
        implementation=f"{_RUN}:bn_lowrank",
        saves=_SMALLER,
        needs=("data", "training"),
        limits="Forgets the weights that the model came with: it needs as much training as a new model. " + _TWO,
    ),
    Method(
        name="sparse_lowrank",
        step="lowrank",
        family=_FAMILY,
        title="A low-rank layer and a sparse one side by side (greedy bilateral decomposition)",
        paper="Yu et al. 2017, On compressing deep models by low rank and sparse decomposition, CVPR; "
        "Zhou & Tao 2013, Greedy bilateral sketch, completion & smoothing, AISTATS",
        implementation=f"{_RUN}:sparse_lowrank",
        saves=(Saving("stored bytes", STORED), Saving("latency", NOWHERE)),
        limits="Computes more than before everywhere here: dense kernels multiply the sparse part's zeros too. "
        + _INT8,
    ),
)
