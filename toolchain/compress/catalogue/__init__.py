"""The catalogue of compression methods, readable without torch: what each does, who wrote it up, what it saves where.

A family has its module here with a tuple ``METHODS``; each method names the function that carries it out.
"""

from __future__ import annotations

import functools
import importlib

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from toolchain.compress.catalogue.method import Method, Saving

__all__ = ["FAMILIES", "Method", "Saving", "all_methods", "family_methods", "find_method", "names"]

#: Family modules, in the order of the documentation.
FAMILIES = ("structured", "unstructured", "low_rank", "distillation", "networks")


@functools.cache
def all_methods() -> tuple[Method, ...]:
    """Every method of every family."""
    return tuple(method for family in FAMILIES for method in family_methods(family))


def family_methods(family: str) -> tuple[Method, ...]:
    """The methods of one of :data:`FAMILIES`."""
    methods: tuple[Method, ...] = importlib.import_module(f"{__name__}.{family}").METHODS
    return methods


def names(step: str) -> list[str]:
    """The methods that a step of a recipe may name."""
    return [method.name for method in all_methods() if method.step == step]


def find_method(step: str, name: str) -> Method:
    """One method of a step.

    Raises:
        ConfigError: the step has no such method; the nearest one is given.
    """
    known = {method.name: method for method in all_methods() if method.step == step}
    if name in known:
        return known[name]
    raise ConfigError(
        f"the step '{step}' has no such method",
        seen=repr(name),
        allowed=", ".join(known),
        next_step=did_you_mean(name, known) or "see: edgewright methods",
    )
