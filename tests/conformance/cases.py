"""The cases of the conformance matrix: what every target is asked to build.

The graphs live in ``graphs_*.py``; a case adds input shapes, and where a target may be less exact than
usual, the reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping

import numpy as np
import torch
from conformance.graphs_blocks import BLOCKS
from conformance.graphs_compressed import COMPRESSED
from conformance.graphs_conv import CONVS
from conformance.graphs_layers import LAYERS
from conformance.graphs_shapes import SHAPES
from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
#: Name to (module factory, input shapes); plain data so that graph files need nothing from here.
Graphs = Mapping[str, tuple[Callable[[], nn.Module], Shapes]]


@dataclasses.dataclass(frozen=True)
class Case:
    """One small graph.

    Attributes:
        name: unique; letters, digits and underscores.
        make: builds the module; weights come from the seed of :meth:`module`.
        shapes: by input name, batch axis included.
    """

    name: str
    make: Callable[[], nn.Module]
    shapes: Shapes

    def module(self) -> nn.Module:
        """The module in evaluation mode: weights from a fixed seed, batch norms with statistics as after training."""
        torch.manual_seed(int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "little"))
        module = self.make().eval()
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    part.running_mean.uniform_(-0.5, 0.5)
                    part.running_var.uniform_(0.5, 2)
                    part.weight.uniform_(0.5, 1.5)
                    part.bias.uniform_(-0.5, 0.5)
        return module

    def samples(self, count: int, seed: int) -> list[dict[str, np.ndarray]]:
        """Inputs from a standard normal distribution."""
        random = np.random.default_rng([seed, *self.name.encode()])
        return [
            {name: random.standard_normal(shape).astype(np.float32) for name, shape in self.shapes.items()}
            for _ in range(count)
        ]


def _cases() -> tuple[Case, ...]:
    graphs = [(name, graph) for group in (CONVS, LAYERS, SHAPES, BLOCKS, COMPRESSED) for name, graph in group.items()]
    return tuple(Case(name, make, shapes) for name, (make, shapes) in graphs)


CASES = _cases()
