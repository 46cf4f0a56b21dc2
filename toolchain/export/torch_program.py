"""torch to a ``.pt2`` program by ``torch.export``, with equal bytes for equal modules, and what checks it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import EdgewrightError
from profiles.runner import Array, Arrays
from targets.pytorch.program_file import save_program
from toolchain.export.exported import Exported, check_input_names, specs_of
from toolchain.export.locate import export_failed, locate
from toolchain.export.silence import captured

if TYPE_CHECKING:
    import torch


def export_program(module: torch.nn.Module, inputs: Arrays, out: Path) -> Exported:
    """Export a module to one ``.pt2`` file: its operators as PyTorch runs them, weights inside, shapes fixed.

    The file holds neither the inputs nor any path of this machine. Operators keep the names of their layers.

    Args:
        module: left as it is, exported in evaluation mode.
        inputs: one sample by input name, in the order of ``forward``'s arguments.
        out: the file to write.

    Raises:
        ConfigError: an input name that is no identifier.
        ModelError: ``forward`` fails on these inputs, or returns something else than tensors.
        UnsupportedError: control flow or a shape that depends on the data; names the layer.
        OutputError: the file cannot be written.
    """
    from toolchain.export.modules import run_module

    check_input_names(inputs)
    outputs = run_module(module, inputs)
    try:
        program, log = convert_program(module, inputs)
    except EdgewrightError:
        raise
    except Exception as error:  # whatever torch.export raises
        raise export_failed("a PyTorch program", locate(module, inputs, error, convert_program)) from error
    save_program(program, out)
    return Exported(out, "pt2", specs_of(inputs), specs_of(outputs), (), _layers(out), log)


def convert_program(module: torch.nn.Module, inputs: Arrays) -> tuple[Any, str]:
    """The exporter itself: program and log. Raises whatever ``torch.export`` raises."""
    import torch

    from toolchain.export.modules import evaluating, to_tensors

    with evaluating(module), captured() as log:
        program = torch.export.export(module, to_tensors(inputs))
    return program, log.text


def _layers(path: Path) -> dict[str, str]:
    """Name of every operator to the qualified name of its layer."""
    from targets.pytorch.program import layer_names, load_program

    names = layer_names(load_program(path)).values()
    return {name: name.rpartition("/")[0] for name in names}


class ProgramReference:
    """A ``.pt2`` program, loaded once for many inferences on the processor, one thread."""

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        import torch

        from targets.pytorch.program import load_program

        self.description = f"torch {torch.__version__}, {path.suffix} program, CPU"
        self._module, self._names = load_program(path), names

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference; inputs by name in the program's order."""
        import torch

        from toolchain.export.modules import to_array, to_tensors

        with torch.inference_mode():
            outputs = self._module.forward(*to_tensors(inputs))
        return {name: np.asarray(to_array(value)) for name, value in zip(self._names, outputs, strict=True)}
