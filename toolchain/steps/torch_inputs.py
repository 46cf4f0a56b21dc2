"""What a torch model takes, and which Python files it consists of, as far as can be told without torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from profiles.errors import ConfigError, MissingToolError
from targets.base import TensorSpec
from targets.registry import installed_version
from toolchain.frontend.require import install_extra
from toolchain.frontend.source import default_input
from toolchain.frontend.specs import InputSpec, ModelSpec
from toolchain.project.models import Project


def check_source(project: Project) -> None:
    """Look for what a torch model needs before anything is done with it.

    Raises:
        MissingToolError: torch is not installed.
        ConfigError: the model file or the weights file does not exist.
    """
    if installed_version("torch") is None:
        raise MissingToolError(
            f"the model '{project.model.source.text}' needs the Python package 'torch'",
            seen="not installed",
            next_step=f"run: {install_extra('frontend')}",
        )
    for what, path in (("model", project.model.source.path), ("weights", project.model.weights)):
        if path is not None and not path.is_file():
            raise ConfigError(
                f"wanted the {what} file {path}",
                seen="a folder" if path.is_dir() else "no such file",
                next_step="check the path",
            )


def input_specs(project: Project) -> tuple[TensorSpec, ...]:
    """The project's inputs, else the network's default one."""
    said = [spec for spec in project.model.input if spec.shape]
    if said:
        return tuple(_tensor_spec(spec.name or "input", spec.shape or (), spec.layout) for spec in said)
    default: InputSpec | None = default_input(project.model.source.text)
    if default is not None:
        return (_tensor_spec(default.name, default.shape, default.layout),)
    raise _no_shape(project)


def _tensor_spec(name: str, shape: tuple[int, ...], layout: str) -> TensorSpec:
    guess = {2: "NC", 4: "NCHW"}.get(len(shape), "")
    return TensorSpec(name, tuple(shape), "float32", layout or guess)


def _no_shape(project: Project) -> ConfigError:
    return ConfigError(
        f"the input shape of '{project.model.source.text}' must be given",
        seen="no shape in the project, and none that the source tells",
        next_step='write input = { shape = [1, 3, 224, 224], layout = "NCHW" } under [model], '
        "or give --input input=1x3x224x224",
    )


def user_code(spec: ModelSpec) -> list[Path] | str:
    """The Python files that a ``module:callable`` may consist of: its package, or its file and its neighbours."""
    module = spec.source.partition(":")[0]
    sys.path.insert(0, str(spec.root))
    try:
        found = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        found = None
    finally:
        sys.path.remove(str(spec.root))
    if found is None or not found.origin:
        return "not found"
    return sorted(Path(found.origin).parent.glob("*.py" if not found.submodule_search_locations else "**/*.py"))
