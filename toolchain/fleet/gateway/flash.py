"""From whatever a board holds to the wanted firmware, step by step. Every step may be the last before a power failure.

Nothing is remembered here: the board says what it holds, and :func:`next_step` says what follows, so that an install
goes on after a power failure of the gateway or of the board by being called again.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Sequence

from profiles.errors import UnreachableError, VerificationError
from toolchain.fleet.gateway.image import Identity, Version
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import Held, Progress, SmpLine

#: From any state of a board to the wanted one it takes nine steps at most; more are a board that goes round in circles.
MOST_STEPS = 10


class Step(enum.Enum):
    """What to do next; values are for people."""

    DONE = "the board runs it"
    UPLOAD = "upload"
    TEST = "set it to be tried"
    RESTART = "restart"


def next_step(held: Sequence[Held], wanted: Identity) -> Step:
    """What brings the board nearer to running the wanted image.

    Raises:
        VerificationError: it runs a newer firmware that was confirmed.
    """
    active = next((each for each in held if each.active), None)
    other = next((each for each in held if not each.active), None)
    if active is not None and active.digest == wanted.digest:
        return Step.DONE
    if other is not None and other.pending:
        return Step.RESTART
    if active is not None and not active.confirmed:
        return Step.RESTART  # it is on trial: the bootloader goes back to what was confirmed
    if active is not None and _version(active.version) > wanted.version:
        raise VerificationError(
            "the board runs newer firmware, and does not go back", seen=active.version,
            allowed=f"{'.'.join(map(str, wanted.version))} or older on the board",
            next_step="publish the older firmware as a new release: edgewright fleet rollback",
        )  # fmt: skip
    return Step.TEST if other is not None and other.digest == wanted.digest else Step.UPLOAD


def _version(text: str) -> Version:
    """``MAJOR.MINOR.REVISION`` and, where there is one, ``.BUILD``; what is none counts as the oldest."""
    parts = text.replace("+", ".").split(".")
    if len(parts) < 3 or not all(part.isdecimal() for part in parts[:3]):
        return 0, 0, 0
    return int(parts[0]), int(parts[1]), int(parts[2])


async def install(
    line: SmpLine, place: Place, wanted: Identity, image: bytes, *, progress: Progress = lambda done, full: None,
    told: Callable[[str], None] = lambda text: None,
) -> None:  # fmt: skip
    """Have the board run this image. It is not confirmed: without :func:`keep` the next restart undoes it.

    Raises:
        UnreachableError: the line was lost, or the board does not come back.
        VerificationError: the board refuses the image, or its bootloader does.
        UnsupportedError: the image is too large.
    """
    await check_platform(line, place)
    tried = uploaded = False
    for _ in range(MOST_STEPS):
        held = await line.images()
        step = next_step(held, wanted)
        if tried and step in (Step.UPLOAD, Step.TEST):
            if uploaded:
                raise _not_started(place)
            step, tried = Step.UPLOAD, False  # what lay there was not whole: power failed in its last bytes
        told(step.value)
        if step is Step.DONE:
            return
        if step is Step.UPLOAD:
            await line.upload(image, progress)
            uploaded = True
        elif step is Step.TEST:
            tried = not await _tests(line, wanted, must=uploaded)
        else:
            tried = tried or any(each.pending and each.digest == wanted.digest for each in held)
            await restart(line, place, held)
    raise _not_started(place)


async def _tests(line: SmpLine, wanted: Identity, *, must: bool) -> bool:
    """Have the image tried next; false when the board refuses, as when power failed while it was told before."""
    try:
        await line.test(wanted.digest)
    except VerificationError:
        if must:
            raise
        return False
    return True


def _not_started(place: Place) -> VerificationError:
    return VerificationError(
        "the board did not start the new firmware", seen="after a restart it runs the firmware of before",
        allowed=f"an image for {place.board}, signed with the key of its bootloader, not older than what runs",
        next_step="compare the key of the bootloader with the public half of the fleet's firmware key",
    )  # fmt: skip


async def check_platform(line: SmpLine, place: Place) -> None:
    """Ask the board for its name where the gateway's configuration has one.

    Raises:
        VerificationError: it is another board.
    """
    if not place.platform:
        return
    seen = await line.platform()
    if seen != place.platform:
        raise VerificationError(
            f"the board at {place.smp} is not the one of the configuration", seen=seen or "it does not say its name",
            allowed=place.platform, next_step="check which board is plugged in, and 'platform' in [gateway]",
        )  # fmt: skip


async def restart(line: SmpLine, place: Place, before: Sequence[Held]) -> None:
    """Reset the board, and wait until it answers with another state of its slots than before.

    Raises:
        UnreachableError: it does not in ``place.boot`` seconds.
    """
    await line.reset()
    end = time.monotonic() + place.boot
    while True:
        await asyncio.sleep(place.pause)
        try:
            if await line.images(tries=1) != tuple(before):
                return
            seen = "it answers, and has not restarted"
        except UnreachableError as error:
            seen = error.seen
            await line.reopen()
        if time.monotonic() > end:
            raise UnreachableError(
                f"the board at {place.smp} does not come back", seen=seen, allowed=f"{place.boot:g} s",
                next_step="press its reset: MCUboot goes back to the confirmed firmware",
            )  # fmt: skip


async def keep(line: SmpLine, wanted: Identity) -> None:
    """Confirm the image, which must run; again is no harm.

    Raises:
        VerificationError: the board runs something else, as after a restart during the trial.
    """
    active = next((each for each in await line.images() if each.active), None)
    if active is None or active.digest != wanted.digest:
        raise VerificationError(
            "the board does not run what is to be kept", seen=active.version if active else "nothing",
            allowed=".".join(map(str, wanted.version)), next_step="install it again",
        )  # fmt: skip
    if not active.confirmed:
        await line.confirm(wanted.digest)
