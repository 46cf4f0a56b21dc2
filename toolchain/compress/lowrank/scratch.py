"""Factorised networks that are trained from scratch, with batch normalisation between the factors."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from toolchain.compress.lowrank.pairs import Separable
from toolchain.compress.lowrank.scheme import Built
from toolchain.compress.lowrank.sites import Site


class BnSeparable(Separable):
    """kh x 1, batch normalisation, 1 x kw.

    Tai et al. 2016 (arXiv:1511.06067, section 3.3): the factorised network is trained from random weights; without
    normalisation in between, its gradients vanish or explode. Linear layers have none in between.
    """

    def build(self, site: Site, ranks: tuple[int, ...]) -> Built:
        """As of the class above, with the normalisation."""
        built = super().build(site, ranks)
        if isinstance(site.layer, nn.Linear):
            return built
        first, last = built.layer
        norm = nn.BatchNorm2d(first.out_channels).to(first.weight.dtype)
        return Built(nn.Sequential(first, norm, last), built.tensor)


def forget(model: nn.Module, seed: int) -> None:
    """Draw all weights anew that modules know how to draw, by ``seed``; torch's global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in model.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()


def fold(model: nn.Module, names: list[str]) -> None:
    """Put the normalisation between factors into the first of them, which gets a bias; in eval mode.

    Exact, for the second factor pads with zeros after the normalisation as well as after the bias.
    """
    for name in names:
        layer = model.get_submodule(name)
        if len(layer) == 3:
            layer[0] = fuse_conv_bn_eval(layer[0], layer[1])
            del layer[1]
