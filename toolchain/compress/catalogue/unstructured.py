"""Unstructured and semi-structured sparsity; see ``toolchain/compress/catalogue/method.py``."""

from __future__ import annotations

from toolchain.compress.catalogue.method import NOWHERE, SPARSE_TENSOR_CORES, STORED, Method, Saving

_PACKAGE = "toolchain.compress.sparse"
_FAMILY = "unstructured sparsity"
_BLOCKS = "semi-structured sparsity"
_ZEROS = (Saving("stored bytes", STORED), Saving("latency", NOWHERE))
_PATTERN = (
    Saving("stored bytes", STORED),
    Saving("latency", SPARSE_TENSOR_CORES),
)
_DENSE = "No dense engine here gains latency from zeros that lie anywhere."

METHODS: tuple[Method, ...] = (
    Method(
        name="magnitude",
        step="sparsify",
        family=_FAMILY,
        title="smallest weights: at once, in rounds, or gradually on a cubic schedule",
        paper="Han et al. 2015, Learning both Weights and Connections (arXiv:1506.02626); Zhu & Gupta 2017, To Prune, "
        "or Not to Prune (arXiv:1710.01878)",
        implementation=f"{_PACKAGE}.magnitude:magnitude",
        saves=_ZEROS,
        limits=f"{_DENSE} Schedule 'cubic' needs training.",
    ),
    Method(
        name="movement",
        step="sparsify",
        family=_FAMILY,
        title="weights that training moves towards zero",
        paper="Sanh, Wolf & Rush 2020, Movement Pruning: Adaptive Sparsity by Fine-Tuning (arXiv:2005.07683)",
        implementation=f"{_PACKAGE}.movement:movement",
        saves=_ZEROS,
        needs=("data", "training"),
        limits=f"{_DENSE} Made for fine-tuning a pretrained model to another task; elsewhere magnitude is as good.",
    ),
    Method(
        name="snip",
        step="sparsify",
        family=_FAMILY,
        title="connections that the loss is least sensitive to, before training",
        paper="Lee, Ajanthan & Torr 2019, SNIP: Single-shot Network Pruning based on Connection Sensitivity "
        "(arXiv:1810.02340)",
        implementation=f"{_PACKAGE}.snip:snip",
        saves=_ZEROS,
        needs=("data", "labels"),
        limits=f"{_DENSE} Made for untrained weights; at high sparsity whole layers may go.",
    ),
    Method(
        name="obs",
        step="sparsify",
        family=_FAMILY,
        title="optimal brain surgeon, exact and greedy per row: the weights that stay make up for those that go",
        paper="Hassibi & Stork 1993, Second Order Derivatives for Network Pruning (NeurIPS 5); Frantar & Alistarh "
        "2022, Optimal Brain Compression (arXiv:2208.11580)",
        implementation=f"{_PACKAGE}.obs:obs",
        saves=_ZEROS,
        needs=("data",),
        limits=f"{_DENSE} Time grows with the third power of a layer's inputs per output; transposed and 3D "
        "convolutions stay dense.",
    ),
    Method(
        name="l_obs",
        step="sparsify",
        family=_FAMILY,
        title="layer-wise optimal brain surgeon: one ranking by the inverse Hessian, then one fit",
        paper="Dong, Chen & Pan 2017, Learning to Prune Deep Neural Networks via Layer-wise Optimal Brain Surgeon "
        "(arXiv:1705.07565)",
        implementation=f"{_PACKAGE}.obs:l_obs",
        saves=_ZEROS,
        needs=("data",),
        limits=f"{_DENSE} Ranks each weight as if it went alone; transposed and 3D convolutions stay dense.",
    ),
    Method(
        name="surgery",
        step="sparsify",
        family=_FAMILY,
        title="dynamic network surgery: pruned connections are spliced back when they have grown",
        paper="Guo, Yao & Chen 2016, Dynamic Network Surgery for Efficient DNNs (arXiv:1608.04493)",
        implementation=f"{_PACKAGE}.surgery:surgery",
        saves=_ZEROS,
        needs=("data", "training"),
        limits=_DENSE,
    ),
    Method(
        name="rigl",
        step="sparsify",
        family=_FAMILY,
        title="sparse from the first step: small weights move to where gradients are large",
        paper="Evci et al. 2020, Rigging the Lottery: Making All Tickets Winners (arXiv:1911.11134)",
        implementation=f"{_PACKAGE}.rigl:rigl",
        saves=_ZEROS,
        needs=("data", "training"),
        limits=f"{_DENSE} Its cheaper training is not had either: training computes with zeros too. Needs long "
        "training.",
    ),
    Method(
        name="lottery",
        step="sparsify",
        family=_FAMILY,
        title="lottery ticket: train, prune, rewind to early weights, in rounds",
        paper="Frankle & Carbin 2019, The Lottery Ticket Hypothesis (arXiv:1803.03635); Frankle et al. 2020, Linear "
        "Mode Connectivity and the Lottery Ticket Hypothesis (arXiv:1912.05671)",
        implementation=f"{_PACKAGE}.lottery:lottery",
        saves=_ZEROS,
        needs=("data", "training"),
        limits=f"{_DENSE} Shares its epochs out among rounds + 1 trainings; made for untrained weights.",
    ),
    Method(
        name="nm",
        step="sparsify",
        family=_BLOCKS,
        title="N:M: the N largest of every M weights along the input channels stay",
        paper="Mishra et al. 2021, Accelerating Sparse Deep Neural Networks (arXiv:2104.08378)",
        implementation=f"{_PACKAGE}.nm:nm",
        saves=_PATTERN,
        limits="Latency only with 2:4, where the device entry sets sparse_weights, and not below some layer size; "
        "other patterns gain none. Layers whose input channels are no multiple of M stay dense.",
    ),
    Method(
        name="sr_ste",
        step="sparsify",
        family=_BLOCKS,
        title="N:M trained: the pattern follows the weights in every step",
        paper="Zhou et al. 2021, Learning N:M Fine-grained Structured Sparse Neural Networks From Scratch "
        "(arXiv:2102.04010)",
        implementation=f"{_PACKAGE}.nm:sr_ste",
        saves=_PATTERN,
        needs=("data", "training"),
        limits="As nm; training computes densely, and hidden weights are trained too.",
    ),
)
