"""Where the Verilog is, beside the packages or, once installed, in ``targets/kernels``; copies of it for one array."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from targets.files import write_bytes
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import FIELDS

_TARGETS = Path(__file__).resolve().parents[2]


def _root() -> Path:
    installed = _TARGETS / "kernels" / "rtl"
    return installed if installed.is_dir() else _TARGETS.parent / "kernels" / "rtl"


ROOT = _root()
SOURCES, TEMPLATES, SIM, FORMAL = ROOT / "src", ROOT / "templates", ROOT / "sim", ROOT / "formal"
#: The module that :func:`write_rtl` puts around the accelerator.
TOP = "ew_top"
#: What is around it: the memory port as it is, or the bus of 16 bits.
INNER = ("ew_core", "ew_narrow")


def verilog() -> tuple[Path, ...]:
    """The sources, by name. All need the definitions of :func:`isa_header` to be read before them."""
    return tuple(sorted(SOURCES.glob("*.v")))


@functools.cache
def template(name: str) -> Any:
    """A template of ``kernels/rtl/templates``; a name that it uses and nobody gives is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(name)


def isa_header() -> str:
    """``ew_isa.vh``: the bits of every field of the instructions."""
    return str(template("ew_isa.vh.j2").render(instructions=[(op.name, fields) for op, fields in FIELDS.items()]))


def parameters(geometry: Geometry) -> dict[str, int]:
    """The parameters of ``ew_core`` and ``ew_narrow``."""
    return {
        "LANES": geometry.lanes,
        "PORT": geometry.port,
        "ACT_DEPTH": geometry.activations,
        "WGT_DEPTH": geometry.weights,
        "PAR_DEPTH": geometry.parameters,
        "ACC_DEPTH": geometry.accumulators,
        "LINE": geometry.line,
        "RAW": geometry.raw,
    }


def rtl_files(geometry: Geometry, *, inner: str = "ew_core") -> dict[str, bytes]:
    """``ew_isa.vh``, the sources, and ``ew_top.v`` with the parameters of an array, in an order that any tool can read.

    Args:
        geometry: gives the parameters.
        inner: what ``ew_top`` wraps, one of :data:`INNER`.
    """
    top = template("ew_top.v.j2").render(inner=inner, port=geometry.port, parameters=parameters(geometry))
    contents = {"ew_isa.vh": isa_header().encode(), **{path.name: path.read_bytes() for path in verilog()}}
    return {**contents, f"{TOP}.v": str(top).encode()}


def write_rtl(geometry: Geometry, folder: Path, *, inner: str = "ew_core") -> list[Path]:
    """Write the files of :func:`rtl_files` into a folder, which is made, and return them in the same order.

    Raises:
        OutputError: the folder cannot be written.
    """
    contents = rtl_files(geometry, inner=inner)
    for name, content in contents.items():
        write_bytes(folder / name, content)
    return [folder / name for name in contents]
