"""Import an optional package, or say which command installs it."""

from __future__ import annotations

import importlib
from types import ModuleType

from profiles.errors import MissingToolError


def require(module: str, purpose: str, install: str) -> ModuleType:
    """Import ``module``.

    Args:
        module: dotted name.
        purpose: what it is needed for, as the rest of a sentence.
        install: the command that installs it.

    Raises:
        MissingToolError: it is not installed, or its import fails.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingToolError(
            f"the Python package '{module.partition('.')[0]}' is needed {purpose}", seen=str(error), next_step=install
        ) from error


def install_extra(extra: str) -> str:
    """The command that installs one extra of the distribution."""
    return f"pip install 'edgewright[{extra}]'"
