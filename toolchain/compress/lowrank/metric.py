"""How much errors of a layer matter, from samples: the covariance of its inputs and of the loss's gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from toolchain.compress.context import Context
from toolchain.compress.lowrank.patches import Patches, rows
from toolchain.compress.lowrank.scheme import Metric
from toolchain.compress.lowrank.sites import Matrix, Site
from toolchain.frontend.train.environment import at_home

#: Above this size the covariance of the inputs is taken per channel: (I, I) for every kernel position.
LARGEST = 2400
#: Positions per sample that are looked at.
POSITIONS = 32
#: Added to the diagonals, as a share of their mean: few samples know some directions badly.
RIDGE = 0.01
_BATCH = 32


class _Watch:
    """Sums over the samples at one layer: x x^T (D, D), x (D,), and g g^T (O, O) of the gradients at its output."""

    def __init__(self, site: Site, device: str, generator: torch.Generator) -> None:
        self.site, self._generator = site, generator
        self._patches = Patches(site.layer).to(device)
        self._area = int(np.prod(site.tensor.shape[2:]))
        self.inputs: Any = 0.0
        self.mean: Any = 0.0
        self.gradients: Any = 0.0
        self.seen = 0

    def __call__(self, layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        """The forward hook."""
        x = self._some(self._patches(args[0].detach())).flatten(0, 1).double()
        if x.shape[1] > LARGEST:
            x = x.reshape(len(x), -1, self._area).transpose(1, 2).flatten(0, 1)
        self.inputs, self.mean = self.inputs + x.T @ x, self.mean + x.sum(0)
        self.seen += len(x)
        output.register_hook(self._gradient)

    def _gradient(self, gradient: torch.Tensor) -> None:
        g = rows(gradient.detach())
        some = self._some(g)
        self.gradients = self.gradients + (g.shape[1] / some.shape[1]) * (
            some.flatten(0, 1).double().T @ some.flatten(0, 1).double()
        )

    def _some(self, values: torch.Tensor) -> torch.Tensor:
        """At most :data:`POSITIONS` of (samples, positions, channels)."""
        if values.shape[1] <= POSITIONS:
            return values
        at = torch.randperm(values.shape[1], generator=self._generator)[:POSITIONS]
        return values[:, at.to(values.device)]

    def metric(self, samples: int) -> Metric:
        """See :func:`measure`."""
        mean = (self.mean / self.seen).cpu().numpy()
        covariance = (self.inputs / self.seen).cpu().numpy() - np.outer(mean, mean)
        inner = self.site.tensor.shape[1]
        if len(covariance) < inner * self._area:
            covariance = np.kron(covariance, np.eye(self._area))
        blocks = covariance.reshape(inner, self._area, inner, self._area)
        channels = np.einsum("iaja->ij", blocks) / self._area
        left, left_inverse = _root((self.gradients / (2 * samples)).cpu().numpy())
        right, right_inverse = _root(covariance)
        return Metric(left, right, left_inverse, right_inverse, *_root(channels))


def measure(
    model: nn.Module, sites: Sequence[Site], context: Context, purpose: str, samples: int
) -> Callable[[Site], Metric]:
    """The metric of every layer under which ||A dW B||^2 estimates how much the loss rises.

    The loss is the model's own negative log-likelihood; its second derivative with respect to a weight is taken as
    the Kronecker product of G = E[sum of g g^T over positions] (O, O), g the gradient at the layer's outputs with
    labels drawn from the model itself, and C, the covariance of what the weight is multiplied with (D, D), D = I kh kw
    (K-FAC: Martens & Grosse 2015, arXiv:1503.05671; convolutions: Grosse & Martens 2016, arXiv:1602.01407).
    A = (G/2)^(1/2), B = C^(1/2). No labels are needed. Biases are assumed to be mended afterwards.

    Args:
        model: in eval mode, on the CPU; it comes back there.
        sites: its layers.
        context: for samples and device.
        purpose: for errors.
        samples: how many to look at.

    Raises:
        DataError: there are none.
    """
    generator = torch.Generator().manual_seed(context.seed)
    watches = {site.name: _Watch(site, context.device, generator) for site in sites}
    handles = [site.layer.register_forward_hook(watches[site.name]) for site in sites]
    count = 0
    try:
        with at_home(model), torch.enable_grad():
            model.to(context.device)
            for batch in context.batches(purpose, max(1, -(-samples // _BATCH)), _BATCH):
                output = model(batch.x.requires_grad_())
                torch.autograd.backward(output, _drawn(output, context.task, generator))
                count += len(batch.x)
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)
    metrics = {name: watch.metric(count) for name, watch in watches.items()}
    return lambda site: metrics[site.name]


def _drawn(output: torch.Tensor, task: str, generator: torch.Generator) -> torch.Tensor:
    """The loss's gradient at the model's output, for labels (or values) drawn from what the model predicts."""
    if task != "classification":
        noise = torch.randn(output.shape, generator=generator) / output[0].numel() ** 0.5
        return noise.to(output.device, output.dtype)
    shares = torch.softmax(output.detach().double().cpu(), -1)
    labels = torch.multinomial(shares, 1, generator=generator)
    return (shares - torch.zeros_like(shares).scatter_(1, labels, 1.0)).to(output.device, output.dtype)


def _root(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """The square root of a covariance with a ridge, and its inverse."""
    level = np.trace(matrix) / len(matrix) or 1.0
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, 0) + RIDGE * level)
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T
