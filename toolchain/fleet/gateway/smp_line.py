"""SMP over a serial line: the board's image states, uploads, resets. ``smpclient`` speaks the protocol.

SMP is MCUmgr's protocol (Zephyr documentation, "SMP protocol specification", groups 0 and 1), on a serial line in
base64 frames. Everything here may be repeated: a request that was not answered is sent again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

from profiles.errors import UnreachableError, VerificationError
from targets.serial_address import parse_serial
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_errors import plain, refusal, told

#: How often a request is sent before the board counts as gone.
_TRIES = 3
#: How often a board may ask for bytes of an image again.
_MOST_STUCK = 20
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Held:
    """What a slot of the board holds, as the board says it.

    Attributes:
        slot: 0 is the primary one.
        digest: of its image, see :class:`~toolchain.fleet.gateway.image.Identity`.
        version: of its image, in words.
        active: it runs.
        confirmed: it stays, or is what the bootloader goes back to.
        pending: it is started next.
    """

    slot: int
    digest: bytes
    version: str
    active: bool = False
    confirmed: bool = False
    pending: bool = False


class SmpLine:
    """A board that answers; :func:`smp_line` makes one."""

    def __init__(self, client: Any, place: Place) -> None:
        self._client, self._place = client, place

    async def images(self, tries: int = _TRIES) -> tuple[Held, ...]:
        """What the slots hold.

        Raises:
            UnreachableError: the board does not answer.
        """
        from smpclient.requests.image_management import ImageStatesRead

        answer = await self._ask(ImageStatesRead, "what its slots hold", tries=tries)
        return tuple(
            Held(
                each.slot, bytes(each.hash or b""), plain(each.version), bool(each.active), bool(each.confirmed),
                bool(each.pending),
            )
            for each in answer.images
            if not each.image  # a second image is that of another core, and has slots of its own
        )  # fmt: skip

    async def platform(self) -> str:
        """What the board calls its hardware; empty where it does not say."""
        from smpclient.requests.os_management import OSApplicationInfoRead

        try:
            answer = await self._ask(OSApplicationInfoRead, "its name", format="i")
        except VerificationError:
            return ""
        return plain(answer.output)

    async def test(self, digest: bytes) -> None:
        """Start this image at the next reset, once."""
        await self._set(digest, confirm=False)

    async def confirm(self, digest: bytes) -> None:
        """Keep this image, which must be the one that runs."""
        await self._set(digest, confirm=True)

    async def _set(self, digest: bytes, *, confirm: bool) -> None:
        from smpclient.requests.image_management import ImageStatesWrite

        what = "to keep its firmware" if confirm else "to try the new firmware"
        await self._ask(ImageStatesWrite, what, hash=digest, confirm=confirm)

    async def reset(self) -> None:
        """Start the board anew. It may do so before its answer is out; asked again it would start a second time."""
        from smpclient.requests.os_management import ResetWrite

        with contextlib.suppress(UnreachableError):
            await self._ask(ResetWrite, "to start anew", tries=1)

    async def upload(self, image: bytes, progress: Progress) -> None:
        """Bring an image into the slot that does not run; a broken upload goes on, as far as the board can.

        Raises:
            UnreachableError: the line was lost.
            EdgewrightError: the board refuses the image, or never has enough of it.
        """
        failures, furthest = 0, 0
        while True:
            try:
                async for offset in self._offsets(image):
                    failures, furthest = 0 if offset > furthest else failures, max(offset, furthest)
                    progress(offset, len(image))
                return
            except UnreachableError:
                failures += 1
                if failures >= _TRIES:
                    raise
                await self.reopen()

    async def _offsets(self, image: bytes) -> AsyncIterator[int]:
        """How many bytes the board has, after each of its answers to one upload."""
        # upgrade: "only upgrade should be allowed" (SMP specification, image upload): no older firmware
        answers = self._client.upload(image, upgrade=True, first_timeout_s=self._place.boot)
        before, stuck = -1, 0
        while True:
            async with told(self._place):
                offset = await anext(answers, None)
            if offset is None:
                return
            stuck += offset <= before
            if not 0 <= offset <= len(image) or stuck > _MOST_STUCK:
                raise VerificationError(
                    "the board does not take the image", seen=f"it asks for byte {offset}", next_step="restart it",
                    allowed=f"bytes of an image of {len(image)}, one after the other",
                )  # fmt: skip
            before = offset
            yield offset

    async def reopen(self) -> None:
        """Open the port anew: that of a board with USB of its own goes away when it restarts. May be too early."""
        with contextlib.suppress(UnreachableError):
            async with told(self._place):
                await self._client.disconnect()
                await self._client.connect()

    async def _ask(self, kind: Any, what: str, *, tries: int = _TRIES, **fields: Any) -> Any:
        from smpclient.generics import success

        for attempt in range(tries):
            try:
                async with told(self._place):
                    answer = await self._client.request(kind(**fields))
                break
            except UnreachableError:
                if attempt == tries - 1:
                    raise
                await self.reopen()  # the rest of a damaged answer goes, and a port that came back is a new one
        if not success(answer):
            raise refusal(answer, what)
        return answer


@contextlib.asynccontextmanager
async def smp_line(place: Place) -> AsyncIterator[SmpLine]:
    """Open the line while inside.

    Raises:
        UnreachableError: there is no such port, another program holds it, or nobody answers.
    """
    from smpclient import SMPClient
    from smpclient.transport.serial import SMPSerialTransport

    address = parse_serial(place.smp)
    transport = SMPSerialTransport(baudrate=address.baud, exclusive=True, write_timeout=place.answer)
    client = SMPClient(transport, address.port, timeout_s=place.answer)
    try:
        async with told(place):
            await client.connect()
        yield SmpLine(client, place)
    finally:
        with contextlib.suppress(OSError):
            await client.disconnect()
