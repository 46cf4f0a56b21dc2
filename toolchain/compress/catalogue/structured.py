"""Structured pruning: methods that remove whole channels or blocks; see ``toolchain/compress/catalogue/method.py``."""

from __future__ import annotations

from toolchain.compress.catalogue.method import Method, Saving

FAMILY = "structured pruning"
_HERE = "toolchain.compress.structured"
_CHANNELS = (Saving("parameters"), Saving("MACs"), Saving("stored bytes"), Saving("memory"), Saving("latency"))
#: Torch-Pruning's functions cut plain layers; tracing, groups, grouped layers, checks and criteria are ours.
_LIBRARY = "Edgewright, cutting with Torch-Pruning"
_LATENCY_LIMIT = "Latency falls less than MACs where layers are short of channels or bound by memory."


def _method(name: str, title: str, paper: str, **more: object) -> Method:
    fields = {
        "implementation": f"{_HERE}.{name}:{name}",
        "saves": _CHANNELS,
        "limits": _LATENCY_LIMIT,
        "library": _LIBRARY,
        **more,
    }
    return Method(name=name, step="prune", family=FAMILY, title=title, paper=paper, **fields)  # type: ignore[arg-type]


METHODS: tuple[Method, ...] = (
    _method(
        "l1",
        "Filters with the least L1 norm",
        "Li, Kadav, Durdanovic, Samet & Graf 2017, Pruning Filters for Efficient ConvNets, arXiv:1608.08710",
        implementation=f"{_HERE}.norms:l1",
        limits=f"A small norm need not mean little influence: batch normalisation rescales it. {_LATENCY_LIMIT}",
    ),
    _method(
        "l2",
        "Filters with the least L2 norm",
        "Li, Kadav, Durdanovic, Samet & Graf 2017, Pruning Filters for Efficient ConvNets, arXiv:1608.08710",
        implementation=f"{_HERE}.norms:l2",
        limits=f"A small norm need not mean little influence: batch normalisation rescales it. {_LATENCY_LIMIT}",
    ),
    _method(
        "random",
        "Channels drawn by chance: a control",
        "Mittal, Bhardwaj, Khapra & Ravindran 2018, Recovering from Random Pruning, arXiv:1801.10447",
        implementation=f"{_HERE}.norms:random",
        limits="A control to compare with: it looks at nothing; scope global is close to scope layer.",
    ),
    _method(
        "fpgm",
        "Filters near the geometric median, which the others can stand for",
        "He, Liu, Wang, Hu & Yang 2019, Filter Pruning via Geometric Median, arXiv:1811.00250",
        implementation=f"{_HERE}.norms:fpgm",
        limits=f"Time and memory grow with the square of a layer's filters. {_LATENCY_LIMIT}",
    ),
    _method(
        "lamp",
        "Layer-adaptive magnitude, lifted from weights to channels",
        "Lee, Park, Mo, Ahn & Shin 2021, Layer-adaptive Sparsity for the Magnitude-based Pruning, arXiv:2010.07611",
        implementation=f"{_HERE}.norms:lamp",
        limits="The paper ranks single weights; here the same rule ranks channels. With scope layer it equals l2.",
    ),
    _method(
        "group_norm",
        "Norm of everything that depends on a channel, with group-lasso training on request",
        "Fang, Ma, Song, Mi & Wang 2023, DepGraph: Towards Any Structural Pruning, arXiv:2301.12900",
        limits=f"The paper's accuracy needs its sparsity training (sparse_epochs). {_LATENCY_LIMIT}",
    ),
    _method(
        "slimming",
        "Channels with the least scale in batch normalisation, trained to be sparse",
        "Liu, Li, Shen, Huang, Yan & Zhang 2017, Learning Efficient Convolutional Networks through Network Slimming, "
        "arXiv:1708.06519",
        limits="Groups without batch normalisation stay as they are; without sparse_epochs the scales tell little.",
    ),
    _method(
        "taylor",
        "Least first-order change of the loss",
        "Molchanov, Mallya, Tyree, Frosio & Kautz 2019, Importance Estimation for Neural Network Pruning, "
        "arXiv:1906.10771",
        implementation=f"{_HERE}.gradients:taylor",
        needs=("data", "labels"),
        limits=f"First order: channels that matter together are judged one by one. {_LATENCY_LIMIT}",
    ),
    _method(
        "hessian",
        "Least second-order change of the loss (optimal brain damage), lifted to channels",
        "LeCun, Denker & Solla 1990, Optimal Brain Damage, NIPS 2",
        implementation=f"{_HERE}.gradients:hessian",
        needs=("data", "labels"),
        limits="Assumes a trained model and layers that are twice differentiable; the diagonal is estimated by draws, "
        "on 128 samples at most.",
    ),
    _method(
        "thinet",
        "Channels whose loss the next layer notices least, the others rescaled by least squares",
        "Luo, Wu & Lin 2017, ThiNet: A Filter Level Pruning Method, arXiv:1707.06342",
        needs=("data",),
        limits="All layers are scored before any is pruned; groups read by other layers than convolutions of one or "
        "two axes or linear ones stay as they are.",
    ),
    _method(
        "feature_rank",
        "Channels whose feature maps have the least rank",
        "Lin et al. 2020, HRank: Filter Pruning using High-Rank Feature Map, arXiv:2002.10179",
        needs=("data",),
        limits="Needs feature maps with height and width above 1: channels that only linear layers read stay. Looks at "
        "64 samples at most, fewer of large networks.",
    ),
    _method(
        "energy_aware",
        "Layers that cost the most energy lose the most channels; the next layer is refitted by least squares",
        "Yang, Chen & Sze 2017, Designing Energy-Efficient CNNs using Energy-Aware Pruning, arXiv:1611.05128",
        needs=("data",),
        limits="The energy is estimated for a 45 nm chip, not measured, and lifts the paper's weights to channels.",
    ),
    _method(
        "netadapt",
        "Layer by layer what saves the wanted latency and costs the least loss",
        "Yang et al. 2018, NetAdapt: Platform-Aware Neural Network Adaptation, arXiv:1804.03230",
        needs=("data", "training", "latency"),
        limits="Slow: every layer is pruned, measured and trained for a moment in every iteration. Without a device "
        "that can be measured it counts MACs in place of latency, and says so.",
    ),
    _method(
        "oto",
        "Train and prune at once: redundant channels are driven to exactly zero, and cut off without a change",
        "Chen et al. 2021, Only Train Once, arXiv:2107.07467; Chen et al. 2023, OTOv2, arXiv:2303.06862",
        needs=("data", "training"),
        limits="Needs a training long enough to move what the channels did to others; without one it equals l2.",
    ),
    _method(
        "gates",
        "Gates that skip residual blocks sample by sample; blocks that hardly run are removed",
        "Wang, Yu, Dou, Darrell & Gonzalez 2018, SkipNet, arXiv:1711.09485",
        library="",
        needs=("data", "training"),
        saves=(
            Saving("latency", "every target, for blocks that are removed; none by skipping sample by sample"),
            Saving("MACs", "every target, for blocks that are removed"),
            Saving("parameters", "every target, for blocks that are removed"),
        ),
        limits="No gain on static engines: they run every block for every sample. Only whole residual blocks whose "
        "output has the shape of their input can go.",
    ),
)
