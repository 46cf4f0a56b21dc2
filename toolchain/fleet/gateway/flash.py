"""From whatever a board holds to the wanted firmware, step by step. Every step may be the last before a power failure.

Nothing is remembered here: the board says what it holds, and :func:`next_step` says what follows, so that an install
goes on after a power failure of the gateway or of the board by being called again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

from profiles.errors import VerificationError
from toolchain.fleet.gateway.board import check_platform, restart
from toolchain.fleet.gateway.image import Identity, Version
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import Held, Progress, SmpLine

#: From any state of a board to the wanted one it takes nine steps at most; more are a board that goes round in circles.
MOST_STEPS = 10


class NotStartedError(VerificationError):
    """A board that tried new firmware, and runs the firmware of before. To try again would wear its flash in vain."""


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
        VerificationError: the board refuses the image.
        NotStartedError: its bootloader does, or the firmware ended before it could answer.
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


def _not_started(place: Place) -> NotStartedError:
    return NotStartedError(
        "the board did not start the new firmware", seen="after a restart it runs the firmware of before",
        allowed=f"an image for {place.board}, signed with the key of its bootloader, that does not fault at its start",
        next_step="compare the key of the bootloader with the public half of the fleet's firmware key",
    )  # fmt: skip
