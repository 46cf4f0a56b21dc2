"""Which layers ``exclude`` means: patterns fit names of modules, and what fits stands for all below it too."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean

if TYPE_CHECKING:
    import torch

_MOST = 20


def excluded(model: torch.nn.Module, patterns: Sequence[str]) -> frozenset[str]:
    """Names of the modules that a pattern fits (``*`` stands for any text), and of all modules inside them.

    Raises:
        ConfigError: a pattern fits no module.
    """
    names = [name for name, _ in model.named_modules() if name]
    fitting = {pattern: fnmatch.filter(names, pattern) for pattern in patterns}
    for pattern, found in fitting.items():
        if not found:
            raise ConfigError(
                "exclude names a layer that the model does not have",
                seen=repr(pattern),
                allowed=_listed([name for name in names if _has_weights(model.get_submodule(name))]),
                next_step=did_you_mean(pattern, names) or "use * for any text",
            )
    tops = [name for found in fitting.values() for name in found]
    return frozenset(name for name in names if any(name == top or name.startswith(f"{top}.") for top in tops))


def _has_weights(module: torch.nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
