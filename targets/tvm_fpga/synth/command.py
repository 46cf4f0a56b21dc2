"""One entry for the command line: whatever a device needs, synthesis or a script; and what earlier calls left."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import MissingToolError, OutputError, UnsupportedError
from targets.files import output_error, write_bytes
from targets.tvm_fpga.device import geometry_of
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.synth.part import part_of
from targets.tvm_fpga.synth.plan import Plan, plan_ecp5
from targets.tvm_fpga.synth.result import Synthesis
from targets.tvm_fpga.synth.run import KEPT, Progress, carry_out, default_folder, read, versions
from targets.tvm_fpga.synth.vivado import SCRIPT, STATUS, vivado_files

#: What is said of a design whose clock and resources are known.
ROUTED = "placed and routed"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Either a synthesis with the folder of its files, or a script and the words that it was not run.

    Attributes:
        folder: sources, scripts, and of a synthesis the logs and the configuration of the device.
        synthesis: what it found out; None for a script.
        status: in words.
        cached: nothing was done: an earlier call had left it.
    """

    folder: Path
    synthesis: Synthesis | None
    status: str
    cached: bool = False

    def text(self) -> str:
        """Some lines for people."""
        what = self.synthesis.text() if self.synthesis else f"{self.status}: {self.folder}"
        return f"{what}\n  in {self.folder}" if self.synthesis else what

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "folder": str(self.folder),
            "status": self.status,
            "cached": self.cached,
            "synthesis": self.synthesis.as_dict() if self.synthesis else None,
        }


def synth_command(
    device: Device,
    geometry: Geometry | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    out: Path | None = None,
) -> Outcome:
    """Synthesize, place and route for an ECP5; write a script for a Zynq.

    Args:
        device: gives the part and, unless ``geometry`` does, the array.
        geometry: another array than the profile's.
        folder: where results are kept; by default in Edgewright's cache.
        progress: is told the tool and what it does.
        out: gets a copy of the files.

    Raises:
        UnsupportedError: the device has no fabric of its own, or the array does not fit.
        ConfigError, MissingToolError, ToolCrashError, OutputError: as :func:`targets.tvm_fpga.synth.run.synthesize`.
    """
    array = geometry or _array(device)
    if out is not None:
        _check_free(out)
    root, say = folder or default_folder(), progress or (lambda tool, stage: None)
    zynq = part_of(device.parameters).family == "zynq"
    made = _script(device, array, root) if zynq else _synthesis(plan_of(device, array), root, say)
    if out is None:
        return made
    _copy(made.folder, out)
    return dataclasses.replace(made, folder=out)


def plan_of(device: Device, geometry: Geometry | None = None) -> Plan:
    """What a synthesis for a device does.

    Raises:
        UnsupportedError: the device is no ECP5.
        ConfigError: the profile names no part or array that can be built.
    """
    array = geometry or _array(device)
    return plan_ecp5(array, part_of(device.parameters), seed=int(device.parameters.get("seed", 1)))


def kept(device: Device, folder: Path | None = None) -> Synthesis | None:
    """What :func:`synth_command` found out before, of exactly this array, part, sources and tools; else None."""
    if "part" not in device.parameters or part_of(device.parameters).family != "ecp5":
        return None
    plan = plan_of(device)
    try:
        digest = plan.digest(versions(plan))
    except MissingToolError:
        return None
    return read((folder or default_folder()) / digest)


def _array(device: Device) -> Geometry:
    if "part" not in device.parameters:
        raise UnsupportedError(
            f"wanted to synthesize for {device.name}",
            seen="it exists in simulation only" if "tvm_fpga" in device.targets else "it has no fabric",
            allowed="a device whose profile names the part of an FPGA",
            next_step="choose fpga-ecp5-85 or fpga-zynq-7020; see: edgewright devices",
        )
    return geometry_of(device)


def _synthesis(plan: Plan, root: Path, progress: Progress) -> Outcome:
    digest = plan.digest(versions(plan))
    place = root / digest
    if (found := read(place)) is not None:
        return Outcome(place, found, ROUTED, cached=True)
    with _alone(root / f"{digest}.lock", progress):
        cached = read(place) is not None  # by whom we waited for
        return Outcome(place, carry_out(plan, root, progress), ROUTED, cached)


def _script(device: Device, array: Geometry, root: Path) -> Outcome:
    files = vivado_files(array, device.parameters)
    digest = hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()[:16]
    place = root / f"vivado-{digest}"
    cached = all((place / name).is_file() and (place / name).read_bytes() == files[name] for name in files)
    for name, content in {} if cached else files.items():
        write_bytes(place / name, content)
    return Outcome(place, None, STATUS, cached)


@contextlib.contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    """Two equal calls at once: the second waits for the first."""
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path.parent, error) from error
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("waiting", "another process synthesizes the same")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check_free(out: Path) -> None:
    """Whether the files may go there; asked before the tools run.

    Raises:
        OutputError: something else is there.
    """
    ours = any((out / name).is_file() for name in (KEPT, SCRIPT))
    if out.exists() and not (out.is_dir() and (ours or not any(out.iterdir()))):
        raise OutputError(
            f"wanted to write the files of a synthesis to {out}",
            seen="something else is there",
            next_step="move it away, or choose another folder with --out",
        )


def _copy(folder: Path, out: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            write_bytes(out / path.name, path.read_bytes())
