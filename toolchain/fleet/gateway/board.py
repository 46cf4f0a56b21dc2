"""What is done to a board beside flashing it: it says its name, restarts, keeps what it runs, or goes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from profiles.errors import UnreachableError, VerificationError
from toolchain.fleet.gateway.image import Identity
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import Held, SmpLine

#: Restarts that end any trial: the first starts what was set to be tried, the second goes back from it.
_MOST_RESTARTS = 2


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
        VerificationError: the board runs something else, as after a restart during the trial, or does not keep it.
    """
    active = await _active(line)
    if active is None or active.digest != wanted.digest:
        raise VerificationError(
            "the board does not run what is to be kept", seen=active.version if active else "nothing",
            allowed=".".join(map(str, wanted.version)), next_step="install it again",
        )  # fmt: skip
    if active.confirmed:
        return
    await line.confirm(wanted.digest)
    active = await _active(line)
    if active is None or active.digest != wanted.digest or not active.confirmed:
        raise VerificationError(
            "the board did not keep its firmware", seen="it was told to, and still has it on trial",
            next_step="the next restart undoes it: check its bootloader's trailer, and the wear of its flash",
        )  # fmt: skip


async def _active(line: SmpLine) -> Held | None:
    return next((each for each in await line.images() if each.active), None)


async def go_back(line: SmpLine, place: Place) -> bool:
    """End a trial, also one that has not begun; whether that took a restart. Afterwards confirmed firmware runs.

    Raises:
        UnreachableError: the line was lost, or the board does not come back.
        VerificationError: it is another board, or still on trial after the restarts that end any.
    """
    await check_platform(line, place)
    for done in range(_MOST_RESTARTS + 1):
        held = await line.images()
        if not any((each.active and not each.confirmed) or each.pending for each in held):
            return done > 0
        if done < _MOST_RESTARTS:
            await restart(line, place, held)
    raise VerificationError(
        "the board does not go back", seen=f"still on trial after {_MOST_RESTARTS} restarts",
        next_step="check that its bootloader swaps with revert",
    )  # fmt: skip
