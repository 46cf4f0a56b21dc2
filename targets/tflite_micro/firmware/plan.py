"""A firmware build as data: which compiler runs there are, and the command lines of linking. Starts nothing."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from profiles.device import Device
from targets.tflite_micro.firmware import flags
from targets.tflite_micro.firmware.memory import ROLES
from targets.tflite_micro.kernels import FIRMWARE

#: C files of every firmware, below ``kernels/cortex_m/firmware``; the port's come on top.
OWN = ("libc.c", "main.c", "startup.c")
_INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Compile:
    """One compiler run: ``gcc *flags -I includes -c source -o name``."""

    source: Path
    name: str
    flags: tuple[str, ...]
    includes: tuple[Path, ...]

    def argv(self, compiler: str, out: Path) -> list[str]:
        """The command line; the object file is ``out / name``."""
        folders = [flag for folder in self.includes for flag in ("-I", str(folder))]
        maps = [f"-ffile-prefix-map={folder}=." for folder in (*self.includes, self.source.parent)]
        return [compiler, *self.flags, *maps, *folders, "-c", str(self.source), "-o", str(out / self.name)]

    def digest(self, version: str) -> str:
        """Of all that the object file follows from: compiler, flags, the source and the headers it names."""
        sums = [hashlib.sha256(text).hexdigest() for text in (self.source.read_bytes(), *_headers(self))]
        return hashlib.sha256("\n".join([version, self.name, *self.flags, *sums]).encode()).hexdigest()


def _headers(job: Compile) -> list[bytes]:
    """Texts of all headers that are reached by ``#include "..."``, sorted; macros are not looked at."""
    seen: dict[Path, bytes] = {}
    waiting = [(job.source.parent, job.source.read_bytes())]
    while waiting:
        folder, text = waiting.pop()
        for name in _INCLUDE.findall(text):
            places = [place / name.decode() for place in (folder, *job.includes)]
            path = next((place.resolve() for place in places if place.is_file()), None)
            if path is not None and path not in seen:
                seen[path] = path.read_bytes()
                waiting.append((path.parent, seen[path]))
    return sorted(seen.values())


def compiles(
    sources: Iterable[Path], includes: Sequence[Path], device: Device, defines: Sequence[str] = ()
) -> tuple[Compile, ...]:
    """All compiler runs, sorted by the name of the object file.

    Args:
        sources: the model's C files and kernels; those of the firmware itself are added.
        includes: folders of headers.
        defines: macros for all of them, such as ``"EW_PORTABLE"``.
    """
    common = (*flags.COMMON, *flags.core_flags(device), *(f"-D{define}" for define in defines))
    fast = (*common, *flags.FAST)
    small = (*common, *flags.SMALL, *flags.port_flags(device))
    own = [FIRMWARE / name for name in (*OWN, *flags.port_sources(device))]
    folders = tuple(includes)
    compact = (*common, *flags.COMPACT)
    jobs = [
        Compile(path, f"model_{path.stem}.o", compact if flags.is_compact(path.stem) else fast, folders)
        for path in sources
    ]
    jobs += [Compile(path, f"firmware_{path.stem}.o", small, folders) for path in own]
    return tuple(sorted(_with_own_names(jobs), key=lambda job: job.name))


def _with_own_names(jobs: Iterable[Compile]) -> list[Compile]:
    """Sources of the same name get object files of different ones."""
    taken: set[str] = set()
    named = []
    for job in sorted(jobs, key=lambda job: (job.name, str(job.source))):
        name, number = job.name, 1
        while name in taken:
            number += 1
            name = f"{job.name[:-2]}_{number}.o"
        taken.add(name)
        named.append(dataclasses.replace(job, name=name))
    return named


def linker_script(device: Device, places: Mapping[str, str], stack: int) -> str:
    """The filled template ``firmware.ld.j2``.

    Args:
        places: see :func:`targets.tflite_micro.firmware.memory.place`.
        stack: bytes, rounded up to 8.
    """
    alias = {"flash": int(device.parameters.get("flash_alias", 0))}
    memories = [
        {
            "name": _word(m.name),
            "kind": m.kind,
            "base": f"0x{m.base + alias.get(m.kind, 0):08X}",
            "size": f"0x{int(m.size):X}",
        }
        for m in device.memories
        if m.base is not None
    ]
    words = {use: _word(name) for use, name in places.items()}
    text: str = _template().render(
        title=device.title, memories=memories, places=words, stack=-(-stack // 8) * 8, roles=ROLES
    )
    return text


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FIRMWARE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("firmware.ld.j2")


def link_argv(compiler: str, device: Device, objects: Sequence[Path], out: Path, digest: str) -> list[str]:
    """The linker's command line; reads ``out/firmware.ld``, writes ``firmware.elf`` and ``firmware.map``.

    Args:
        digest: 16 hexadecimal digits, which the firmware tells whoever asks.
    """
    words = [f"-Wl,--defsym=ew_digest_{i}=0x{digest[8 * i : 8 * i + 8]}" for i in range(2)]
    script = ["-T", str(out / "firmware.ld"), f"-Wl,-Map={out / 'firmware.map'}"]
    files = [str(path) for path in objects]
    return [
        compiler,
        *flags.core_flags(device),
        *flags.LINK,
        *script,
        *words,
        *files,
        "-lgcc",
        "-o",
        str(out / "firmware.elf"),
    ]
