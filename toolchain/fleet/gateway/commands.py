"""What ``python -m toolchain.fleet.gateway`` does; each answer is data for JSON."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import (
    EdgewrightError,
    MissingToolError,
    ToolCrashError,
    UnreachableError,
    UnsupportedError,
    VerificationError,
)
from toolchain.fleet.gateway.board import check_platform, go_back, keep
from toolchain.fleet.gateway.flash import NotStartedError, Step, install, next_step
from toolchain.fleet.gateway.image import IMAGE, Identity, check_image
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import SmpLine, smp_line

Answer = dict[str, Any]
Said = Callable[[str], None]


def status(place: Place, slot: Path | None, say: Said) -> Answer:
    """What the board's slots hold; with a slot of the agent, whether the board runs its firmware, and keeps it."""

    async def ask(line: SmpLine) -> Answer:
        await check_platform(line, place)
        held = await line.images()
        answer: Answer = {"slots": [{**dataclasses.asdict(each), "digest": each.digest.hex()} for each in held]}
        if slot is not None:
            wanted = _wanted(place, slot)
            active = next((each for each in held if each.active), None)
            runs = active is not None and active.digest == wanted.digest
            answer |= {"wanted": wanted.digest.hex(), "runs": runs}
            answer |= {"kept": runs and active is not None and active.confirmed}
        return answer

    return _with_line(place, ask)


def install_slot(place: Place, slot: Path, say: Said) -> Answer:
    """Have the board run the image of a slot of the agent, on trial."""
    wanted, image = _wanted(place, slot), (slot / IMAGE).read_bytes()

    def progress(done: int, full: int) -> None:
        say(f"uploaded {done} of {full} bytes")

    async def ask(line: SmpLine) -> Answer:
        await install(line, place, wanted, image, progress=progress, told=say)
        return {"release": wanted.release, "digest": wanted.digest.hex()}

    return _with_line(place, ask)


def keep_slot(place: Place, slot: Path, say: Said) -> Answer:
    """Confirm the firmware of a slot of the agent; what the board does not run yet is brought there first."""
    wanted = _wanted(place, slot)

    async def ask(line: SmpLine) -> Answer:
        await check_platform(line, place)
        if next_step(await line.images(), wanted) is not Step.DONE:
            await install(line, place, wanted, (slot / IMAGE).read_bytes(), told=say)
        await keep(line, wanted)
        return {"release": wanted.release, "digest": wanted.digest.hex()}

    return _with_line(place, ask)


def back(place: Place, slot: Path | None, say: Said) -> Answer:
    """End a trial: the board runs what it ran before, which nobody here may know."""

    async def ask(line: SmpLine) -> Answer:
        return {"restarted": await go_back(line, place)}

    return _with_line(place, ask)


def golden(place: Place, slot: Path, say: Said) -> Answer:
    """Compare the golden outputs on the board."""
    from toolchain.fleet.gateway.firmware import golden as compare

    return {"golden_error": compare(slot, place)}


def latency(place: Place, slot: Path, say: Said) -> Answer:
    """Measure on the board."""
    from toolchain.fleet.gateway.firmware import figures

    return {"figures": figures(slot, place)}


COMMANDS: Mapping[str, Callable[[Place, Any, Said], Answer]] = {
    "status": status, "install": install_slot, "keep": keep_slot, "back": back, "golden": golden, "latency": latency,
}  # fmt: skip


def _wanted(place: Place, slot: Path) -> Identity:
    return check_image(slot / IMAGE, place.key, place.board)


def _with_line(place: Place, ask: Callable[[SmpLine], Awaitable[Answer]]) -> Answer:
    async def main() -> Answer:
        async with smp_line(place) as line:
            return await ask(line)

    return asyncio.run(main())


def reason_of(command: str, error: EdgewrightError) -> str:
    """The word of ``documents.report.Reason`` for an error."""
    if isinstance(error, (UnsupportedError, MissingToolError)):
        return "depends"
    if isinstance(error, (ToolCrashError, NotStartedError)):
        return "crash"
    if isinstance(error, VerificationError):
        return "parity" if command in ("golden", "latency") else "trust"
    return "download" if isinstance(error, UnreachableError) else "internal"  # "download" may be tried again
