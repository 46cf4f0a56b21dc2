"""Build the host's module: what the accelerator does not run, compiled by TVM, with calls of regions by name."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from targets.quiet import in_our_words
from targets.tvm_fpga.host.driver import Glue
from targets.tvm_fpga.host.target import HostTarget
from targets.tvm_fpga.partition.partition import Partitioned
from targets.tvm_fpga.partition.patterns import BACKEND


def build_host(parted: Partitioned, target: HostTarget, out: Path, glue: Glue | None = None) -> Path:
    """A shared library that TVM's runtime loads.

    Args:
        parted: the network.
        target: the machine that runs it.
        out: where the library goes.
        glue: C sources that call the board's driver; without, the process that loads the library must provide a
            function for each region (:class:`targets.tvm_fpga.host.module.HostModule`).

    Raises:
        MissingToolError: the compiler for that machine is not installed.
        ToolCrashError: it failed, or TVM did.
    """
    import tvm
    from tvm import relax

    _announce()
    _GLUE[:] = [] if glue is None else [glue]
    with in_our_words("TVM must compile what stays on the host"):
        with target.as_tvm():  # type: ignore[attr-defined]
            module = relax.transform.RunCodegen()(parted.module)
        module = _without_constants(module)
        executable = tvm.compile(module, target=target.as_tvm())

    def link(made: str, files: list[str], **options: Any) -> None:
        target.link(made, [*files, *(glue.sources if glue else ())], glue.options if glue else ())

    executable.export_library(str(out), fcompile=link)
    return out


def _without_constants(module: Any) -> Any:
    """The regions' constants are in their command streams."""
    name = "const_name_to_constant"
    return module.without_attr(name) if module.attrs is not None and name in module.attrs else module


#: The glue of the build that runs, if any; the generator below is called by TVM and has no other way to learn of it.
_GLUE: list[Glue] = []


@functools.cache
def _announce() -> None:
    """The code generator that TVM asks, once per process."""
    import tvm_ffi

    tvm_ffi.register_global_func(f"relax.ext.{BACKEND}", _generate, override=True)


def _generate(functions: Any, options: Any, names: Any) -> list[Any]:
    """Nothing for functions that Python provides; else a C source module for each."""
    if not _GLUE:
        return []
    import tvm_ffi

    create = tvm_ffi.get_global_func("runtime.CSourceModuleCreate")
    symbols = [str(function.attrs["global_symbol"]) for function in functions]
    return [create(_GLUE[0].code[symbol], "c", [symbol], []) for symbol in symbols]
