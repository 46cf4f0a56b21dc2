"""How steps of a recipe are called, in titles and in errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from profiles.errors import EdgewrightError

if TYPE_CHECKING:
    from toolchain.project.recipe import StepOptions


def title_of(options: StepOptions) -> str:
    """``prune (l1)``."""
    method = method_of(options)
    return f"{options.step} ({method})" if method else options.step


def method_of(options: Any) -> str:
    """The method of a step, or its losses; empty for steps that have neither."""
    if hasattr(options, "losses"):
        return "+".join(options.losses)
    return str(getattr(options, "method", ""))


@contextmanager
def named(number: int, options: StepOptions) -> Iterator[None]:
    """Errors say which step they came from."""
    try:
        yield
    except EdgewrightError as error:
        wanted = f"step {number} of the recipe, {title_of(options)}: {error.wanted}"
        raise type(error)(wanted, seen=error.seen, allowed=error.allowed, next_step=error.next_step) from error
