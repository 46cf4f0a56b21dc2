"""Builds firmware: compiles what a plan names, links it, and writes it in the forms that flashing tools take."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from profiles.device import Device
from profiles.errors import ToolCrashError
from targets.execute import run_program
from targets.files import write_bytes
from targets.tflite_micro.firmware import plan, toolchain
from targets.tflite_micro.firmware.elf import read_elf
from targets.tflite_micro.firmware.memory import need, place

_TIMEOUT = 300.0


@dataclasses.dataclass(frozen=True)
class Firmware:
    """What was built.

    Attributes:
        elf, bin, hex, map: files; ``map`` is the linker's map, without folder names.
        digest: 16 hexadecimal digits of what was linked, which the running firmware tells too.
        device: name of the profile.
        stack: bytes.
    """

    elf: Path
    bin: Path
    hex: Path
    map: Path
    digest: str
    device: str
    stack: int


def link(
    sources: Sequence[Path],
    includes: Sequence[Path],
    device: Device,
    out: Path,
    *,
    stack: int = 2048,
    defines: Sequence[str] = (),
    cache: Path | None = None,
) -> Firmware:
    """Compile a model's sources with the firmware around them, and link. The same inputs give the same bytes.

    Args:
        sources: the generated C files and the kernels that they call.
        includes: where ``edgewright_model.h`` and the kernels' headers are.
        device: gives core, memories and port.
        out: for ``firmware.elf``, ``.bin``, ``.hex``, ``.map`` and ``.ld``; object files go into ``out/objects``.
        stack: bytes.
        defines: macros for all sources, such as ``"EW_PORTABLE"``.
        cache: a folder for object files that later builds can use again.

    Raises:
        MissingToolError: no compiler.
        UnsupportedError: it does not fit the device's memories.
        ToolCrashError: the compiler or linker refused; its words are in the message.
    """
    compiler, version = toolchain.tool("gcc"), toolchain.version()
    jobs = plan.compiles(sources, includes, device, defines)
    objects = _compile_all(jobs, compiler, version, out / "objects", cache)
    places = place(device, need(map(read_elf, objects), stack))
    script = plan.linker_script(device, places, stack)
    digest = _digest([script.encode(), *(path.read_bytes() for path in objects)])
    write_bytes(out / "firmware.ld", script.encode())
    _run(plan.link_argv(compiler, device, objects, out, digest))
    _strip_folders(out / "firmware.map", out / "objects")
    paths = {suffix: out / f"firmware.{suffix}" for suffix in ("elf", "bin", "hex", "map")}
    for form, suffix in (("binary", "bin"), ("ihex", "hex")):
        _run([toolchain.tool("objcopy"), "-O", form, str(paths["elf"]), str(paths[suffix])])
    return Firmware(**paths, digest=digest, device=device.name, stack=-(-stack // 8) * 8)


def _digest(parts: Sequence[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def _compile_all(
    jobs: Sequence[plan.Compile], compiler: str, version: str, out: Path, cache: Path | None
) -> list[Path]:
    """Object files in the order of the jobs; as many compilers at a time as there are processors."""
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda job: _compile(job, compiler, version, out, cache), jobs))
    return [out / job.name for job in jobs]


def _compile(job: plan.Compile, compiler: str, version: str, out: Path, cache: Path | None) -> None:
    kept = cache / f"{job.digest(version)}.o" if cache is not None else None
    if kept is not None and kept.is_file():
        write_bytes(out / job.name, kept.read_bytes())
        return
    _run(job.argv(compiler, out))
    if kept is not None:
        write_bytes(kept, (out / job.name).read_bytes())


def _run(argv: Sequence[str]) -> None:
    finished = run_program(argv, timeout=_TIMEOUT)
    if finished.status != 0:
        said = [line for line in finished.stderr.splitlines() if re.search(r"error|undefined|warning|overflow", line)]
        raise ToolCrashError(
            f"{Path(argv[0]).name} refused",
            seen=" | ".join(said[:4]) or finished.stderr.strip()[-400:] or f"exit status {finished.status}",
            next_step="--debug shows more",
        )


def _strip_folders(path: Path, objects: Path) -> None:
    """Take the names of this machine's folders out of a map."""
    text = path.read_text(encoding="utf-8", errors="replace").replace(f"{objects}/", "").replace(f"{path.parent}/", "")
    text = re.sub(r"(?<![\w.])/[\w./+-]*/(?=[\w.+-]+\.(?:a|o)\b)", "", text)
    write_bytes(path, text.encode())
