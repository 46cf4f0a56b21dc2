"""The form of the host module for boards: C sources that call the driver in ``kernels/rtl/driver``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from targets.files import write_bytes
from targets.tvm_fpga.compiler.program import Port, Program
from targets.tvm_fpga.host.ports import HostPort, HostRegion
from targets.tvm_fpga.rtl.sources import ROOT, template

#: The driver's own files.
DRIVER = ROOT / "driver"


@dataclasses.dataclass(frozen=True)
class Glue:
    """What is compiled and linked into the host module.

    Attributes:
        code: by region: the function that TVM calls, in C.
        sources: further C files.
        options: of the compiler.
        images: by region: the file that must lie in the driver's folder of images.
    """

    code: Mapping[str, str]
    sources: tuple[str, ...]
    options: tuple[str, ...]
    images: Mapping[str, Path]


def make_glue(regions: Sequence[HostRegion], programs: Mapping[str, Program], folder: Path) -> Glue:
    """Write the tables and images of a network's regions; ``programs`` by symbol."""
    images = {region.symbol: folder / f"{region.symbol}.bin" for region in regions}
    for symbol, path in images.items():
        write_bytes(path, programs[symbol].image.tobytes())
    rows = [_row(number, region, programs[region.symbol]) for number, region in enumerate(regions)]
    tables = folder / "regions.c"
    write_bytes(tables, str(template("regions.c.j2").render(regions=rows)).encode())
    calls = {region.symbol: _call(region) for region in regions}
    sources = (str(tables), str(DRIVER / "ew_fpga.c"))
    return Glue(calls, sources, (f"-I{DRIVER}", f"-I{_tvm_headers()}"), images)


def _call(region: HostRegion) -> str:
    counts = {"inputs": len(region.inputs), "outputs": len(region.outputs)}
    return str(template("region_call.c.j2").render(symbol=region.symbol, **counts))


def _row(number: int, region: HostRegion, program: Program) -> dict[str, object]:
    return {
        "number": number,
        "symbol": region.symbol,
        "image": f"{region.symbol}.bin",
        "image_bytes": len(program.image),
        "program_at": program.program_at,
        "inputs": _ports(region.inputs, program.inputs),
        "outputs": _ports(region.outputs, program.outputs),
    }


def _ports(given: Sequence[HostPort], there: Sequence[Port]) -> list[dict[str, int]]:
    """In the order of the host's call."""
    by_name = {port.tensor.name: port for port in there}
    return [_port(each, by_name[each.name]) for each in given]


def _port(host: HostPort, port: Port) -> dict[str, int]:
    height, width, channels = port.tensor.shape
    return {
        "at": port.at, "row_bytes": port.row_bytes, "pixel_bytes": port.pixel_bytes, "left": port.left,
        "height": height, "width": width, "channels": channels, "zero": port.tensor.zero, "offset": host.offset,
    }  # fmt: skip


def _tvm_headers() -> str:
    from tvm_ffi.libinfo import find_include_path

    return str(find_include_path())
