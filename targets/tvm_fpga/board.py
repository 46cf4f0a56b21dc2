"""What a bundle has for the processor beside the fabric: a host module that calls the driver, and its images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from targets.files import write_bytes
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.device import host_of
from targets.tvm_fpga.host.build import build_host
from targets.tvm_fpga.host.driver import DRIVER, make_glue
from targets.tvm_fpga.host.target import host_target
from targets.tvm_fpga.partition.partition import Partitioned

FOLDER = "board"


def board_files(parted: Partitioned, programs: Mapping[str, Program], device: Device, out: Path) -> dict[str, Any]:
    """Write ``board/`` and tell what is there, and what is missing and why.

    The folder holds the host module for the board's processor, what it was linked from (driver, table of regions) and
    the memory images that the driver reads.

    Returns:
        ``host``: the processor, empty where there is only fabric; ``files``: below the bundle; ``missing``: in words.

    Raises:
        ConfigError: no host module can be made for that processor.
        ToolCrashError: the compiler failed.
    """
    name = host_of(device)
    if not name:
        return {"host": "", "files": [], "missing": ""}
    target, folder = host_target(name), out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    glue = make_glue([each.host for each in parted.regions], programs, folder)
    for source in sorted(DRIVER.glob("*.[ch]")):
        write_bytes(folder / source.name, source.read_bytes())
    if not target.missing:
        build_host(parted, target, folder / f"host-{name}.so", glue)
    files = sorted(path.relative_to(out).as_posix() for path in folder.iterdir())
    missing = target.missing and f"the host module for {name}: {target.missing}, and build again"
    return {"host": name, "files": files, "missing": missing}
