"""From a step's options to the ranks of every layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import nn

from profiles.errors import ConfigError, UnsupportedError
from toolchain.compress.context import Context
from toolchain.compress.goals import GOALS, UNITS, Goal, cost, limit
from toolchain.compress.lowrank.allocate import allocate, pareto
from toolchain.compress.lowrank.scheme import Counts, Menu, Scheme
from toolchain.compress.lowrank.sites import Site
from toolchain.project.recipe import LowRank

#: Ranks by layer name; layers that stay as they are have none.
Ranks = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be factorised and how."""

    model: nn.Module
    sites: tuple[Site, ...]
    scheme: Scheme
    options: LowRank
    context: Context
