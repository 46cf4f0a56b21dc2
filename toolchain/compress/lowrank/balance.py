"""Factors of equal size, so that training goes on at an ordinary learning rate."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn

from toolchain.compress.lowrank.sites import Matrix

#: Passes over the neighbouring stages; two stages are even after the first one.
SWEEPS = 8


def balance(chain: nn.Sequential) -> None:
    """Change the factors of a chain without changing what it computes, such that neighbours weigh the same; in place.

    Between a stage A of R outputs and the next one B, any invertible G (R, R) may stand: (B G^-1)(G A) = B A. SGD
    moves a factor in proportion to the size of the other: if one is small and the other large, the step of one
    of them is too long at any learning rate that moves the other. Balanced are factors with B^T B = A A^T (Arora,
    Cohen, Golowich & Hu 2019, arXiv:1810.02281, definition 1): U S^(1/2) and S^(1/2) V^T of B A = U S V^T.
    Where a stage works channel by channel, G is diagonal: then norms per channel are equal (Nagel et al. 2019,
    arXiv:1906.04721). Chains of three stages and more take turns.

    Args:
        chain: linear layers or convolutions, none but the last with a bias.
    """
    stages = [_Stage(layer) for layer in chain]
    pairs = list(itertools.pairwise(stages))
    for _ in range(SWEEPS if len(pairs) > 1 else 1):
        for first, second in pairs:
            first.outgoing, second.incoming = _even(first, second)
    with torch.no_grad():
        for stage in stages:
            stage.layer.weight.copy_(torch.from_numpy(stage.weight))


class _Stage:
    """The weight of a stage, (O, I / groups, kh, kw) in float64."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.weight: Matrix = layer.weight.detach().cpu().double().numpy().copy()
        self.mixes = getattr(layer, "groups", 1) == 1

    @property
    def outgoing(self) -> Matrix:
        """A (R, values): what makes each output."""
        return self.weight.reshape(len(self.weight), -1)

    @outgoing.setter
    def outgoing(self, values: Matrix) -> None:
        self.weight = values.reshape(self.weight.shape)

    @property
    def incoming(self) -> Matrix:
        """B (values, R): what reads each input."""
        if not self.mixes:
            return self.outgoing.T
        return np.moveaxis(self.weight, 1, -1).reshape(-1, self.weight.shape[1])

    @incoming.setter
    def incoming(self, values: Matrix) -> None:
        if not self.mixes:
            self.outgoing = values.T
            return
        out, _, *kernel = self.weight.shape
        self.weight = np.ascontiguousarray(np.moveaxis(values.reshape(out, *kernel, -1), -1, 1))


def _even(first: _Stage, second: _Stage) -> tuple[Matrix, Matrix]:
    """The balanced A and B of two neighbours."""
    a, b = first.outgoing, second.incoming
    rank = len(a)
    if first.mixes and second.mixes and rank <= min(a.shape[1], len(b)):
        qb, rb = np.linalg.qr(b)
        qa, ra = np.linalg.qr(a.T)
        u, values, vt = np.linalg.svd(rb @ ra.T)
        roots = np.sqrt(values)
        return roots[:, None] * (vt @ qa.T), (qb @ u) * roots
    sizes = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=0)
    some = (sizes[0] > 0) & (sizes[1] > 0)
    scale = np.sqrt(np.divide(sizes[1], sizes[0], out=np.ones(rank), where=some), out=np.ones(rank), where=some)
    return a * scale[:, None], b / scale
