"""Import and call ``module:callable`` of the user's own code, and turn what goes wrong there into one clear error."""

from __future__ import annotations

import copy
import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from profiles.errors import ConfigError, ModelError
from profiles.suggest import did_you_mean


def call_user(source: str, root: Path, options: Mapping[str, Any]) -> Any:
    """Import ``module`` (installed, or a file below ``root``) and call ``callable`` with ``options``.

    A name that is a ready-made module, not a function or class, gives a copy of it.

    Raises:
        ConfigError: no such module or name; the nearest one is given.
        ModelError: the user's code raised something; its type, message and line are given.
    """
    module_name, _, attribute = source.partition(":")
    with _on_path(root), _explained(source):
        made: Any = _import(module_name, root)
        for name in attribute.split("."):
            made = _attribute(made, name, source)
        if not callable(made):
            raise ConfigError(f"{source} must be callable", seen=f"a {type(made).__name__}")
        is_instance = hasattr(made, "forward") and not isinstance(made, type)
        return copy.deepcopy(made) if is_instance else made(**options)


def _attribute(holder: Any, name: str, source: str) -> Any:
    if not hasattr(holder, name):
        known = [key for key in vars(holder) if not key.startswith("_")]
        raise ConfigError(
            f"there is no '{name}' in '{getattr(holder, '__name__', holder)}'",
            seen=source,
            allowed=", ".join(known[:20]),
            next_step=did_you_mean(name, known),
        )
    return getattr(holder, name)


@contextmanager
def _on_path(root: Path) -> Iterator[None]:
    folder = str(root.resolve())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        yield
    except (ConfigError, ModelError):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ModelError(
            f"making the model from {source} failed",
            seen=f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})",
        ) from error


def _import(name: str, root: Path) -> ModuleType:
    _forget_namesake(name, root)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(
                f"there is no module '{name}'",
                seen=f"neither installed nor below {root.resolve()}",
                next_step=did_you_mean(name, [path.stem for path in root.glob("*.py")])
                or "check the name; a module of your own lies beside the project file",
            ) from error
        raise


def _forget_namesake(name: str, root: Path) -> None:
    """Drop a module of this name that was imported from another project's folder."""
    top = name.partition(".")[0]
    loaded = sys.modules.get(top)
    here = [path for path in (root / f"{top}.py", root / top / "__init__.py") if path.is_file()]
    if loaded is None or not here or not getattr(loaded, "__file__", None):
        return
    if Path(str(loaded.__file__)).resolve() != here[0].resolve():
        for key in [key for key in sys.modules if key == top or key.startswith(top + ".")]:
            del sys.modules[key]
