"""Criteria that look at the weights only."""

from __future__ import annotations

import numpy as np
import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import ByGroup
from toolchain.compress.structured.run import prune_by
from toolchain.compress.structured.views import filters
from toolchain.project.recipe import StepOptions


def l1(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the filters with the least L1 norm.

    Li, Kadav, Durdanovic, Samet & Graf 2017, "Pruning Filters for Efficient ConvNets", arXiv:1608.08710,
    section 3.1: s_j = sum of |F_ij| over input maps i. Layers that write to the same channels are added up.
    """
    return prune_by(ByGroup(lambda group: norm(filters(group), 1)), model, options, context)


def l2(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the filters with the least L2 norm.

    Li et al. 2017, section 3.1, as :func:`l1`: s_j = the root of the sum of |F_ij|^2 over input maps i.
    """
    return prune_by(ByGroup(lambda group: norm(filters(group), 2)), model, options, context)


def random(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove channels drawn by the seed: the control that any criterion must beat."""
    generator = np.random.default_rng(context.seed)
    draw = ByGroup(lambda group: torch.from_numpy(generator.random(group.channels)), comparable=True)
    return prune_by(draw, model, options, context)


def fpgm(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the filters nearest to the geometric median of their layer.

    He, Liu, Wang, Hu & Yang 2019, "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks
    Acceleration", arXiv:1811.00250, equation 6: the filter whose summed distance to all others is least.
    """
    return prune_by(ByGroup(lambda group: distances(filters(group))), model, options, context)


def lamp(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels with the least layer-adaptive magnitude.

    Lee, Park, Mo, Ahn & Shin 2021, "Layer-adaptive Sparsity for the Magnitude-based Pruning", arXiv:2010.07611,
    equation 5, lifted from weights to channels: the squared L2 norm of a channel's filters takes the place of
    the squared weight.
    """
    score = ByGroup(lambda group: adaptive(norm(filters(group), 2).square()), comparable=True)
    return prune_by(score, model, options, context)


def norm(weights: torch.Tensor, order: int) -> torch.Tensor:
    """Norm of every row of (channels, values): shape (channels,)."""
    return torch.linalg.vector_norm(weights, order, dim=1)


def distances(weights: torch.Tensor) -> torch.Tensor:
    """Summed Euclidean distance of every row of (channels, values) to all rows: shape (channels,)."""
    rows = weights.double()
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").sum(1)


def adaptive(squares: torch.Tensor) -> torch.Tensor:
    """LAMP: each squared magnitude over the sum of it and all larger ones; shape (channels,), from 0 to 1.

    The largest always scores 1, so no group is emptied first.
    """
    order = torch.argsort(squares, stable=True)
    ranked = squares[order].double()
    rest = ranked.flip(0).cumsum(0).flip(0)
    scores = torch.empty_like(ranked)
    scores[order] = torch.where(rest > 0, ranked / rest, torch.zeros_like(ranked))
    return scores
