"""SMP over a serial line: the board's image states, uploads, resets. ``smpclient`` speaks the protocol.

SMP is MCUmgr's protocol (Zephyr documentation, "SMP protocol specification", groups 0 and 1), on a serial line in
base64 frames. Everything here may be repeated: a request that was not answered is sent again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

from profiles.errors import EdgewrightError, UnreachableError, UnsupportedError, VerificationError
from targets.serial_address import parse_serial
from toolchain.fleet.gateway.place import Place

#: How often a request is sent before the board counts as gone.
_TRIES = 3
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
                each.slot, bytes(each.hash or b""), each.version, bool(each.active), bool(each.confirmed),
                bool(each.pending),
            )
            for each in answer.images
        )  # fmt: skip

    async def platform(self) -> str:
        """What the board calls its hardware; empty where it does not say."""
        from smpclient.requests.os_management import OSApplicationInfoRead

        try:
            answer = await self._ask(OSApplicationInfoRead, "its name", format="i")
        except VerificationError:
            return ""
        return str(answer.output)

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
        """Start the board anew."""
        from smpclient.requests.os_management import ResetWrite

        await self._ask(ResetWrite, "to start anew")

    async def upload(self, image: bytes, progress: Progress) -> None:
        """Bring an image into the slot that does not run; a broken upload goes on, as far as the board can.

        Raises:
            UnreachableError: the line was lost.
            EdgewrightError: the board refuses the image.
        """
        failures, furthest = 0, 0
        while True:
            try:
                async with _told(self._place):
                    # upgrade: "only upgrade should be allowed" (SMP specification, image upload): no older firmware
                    async for offset in self._client.upload(image, upgrade=True, first_timeout_s=self._place.boot):
                        failures, furthest = 0 if offset > furthest else failures, max(offset, furthest)
                        progress(offset, len(image))
                return
            except UnreachableError:
                failures += 1
                if failures >= _TRIES:
                    raise

    async def reopen(self) -> None:
        """Open the port anew: that of a board with USB of its own goes away when it restarts. May be too early."""
        with contextlib.suppress(UnreachableError):
            async with _told(self._place):
                await self._client.disconnect()
                await self._client.connect()

    async def _ask(self, kind: Any, what: str, *, tries: int = _TRIES, **fields: Any) -> Any:
        from smpclient.generics import success

        for attempt in range(tries):
            try:
                async with _told(self._place):
                    answer = await self._client.request(kind(**fields))
                break
            except UnreachableError:
                if attempt == tries - 1:
                    raise
        if not success(answer):
            raise refusal(answer, what)
        return answer


def refusal(answer: Any, what: str) -> EdgewrightError:
    """The error for a board that said no."""
    from smp.image_management import IMG_MGMT_ERR

    code = getattr(getattr(answer, "err", None), "rc", None)
    seen = code.name if code is not None else getattr(getattr(answer, "rc", None), "name", str(answer)[:200])
    words = f"the board refused {what}"
    plain = seen.lower().replace("_", " ")
    if code is IMG_MGMT_ERR.INVALID_IMAGE_TOO_LARGE:
        return UnsupportedError(words, seen=plain, next_step="choose a smaller model, or give the board larger slots")
    if code is IMG_MGMT_ERR.CURRENT_VERSION_IS_NEWER:
        step = "publish a release with a larger version: boards do not go back"
        return VerificationError(words, seen=plain, allowed="a version larger than the one that runs", next_step=step)
    return VerificationError(words, seen=plain)


@contextlib.asynccontextmanager
async def _told(place: Place) -> AsyncIterator[None]:
    """Errors of smpclient and of the serial port in our words."""
    from smpclient.exceptions import SMPClientException, SMPUploadError
    from smpclient.transport import SMPTransportDisconnected

    try:
        yield
    except SMPUploadError as error:
        answer = error.args[0] if error.args else error
        if isinstance(answer, str):
            raise VerificationError("the board did not keep what was uploaded", seen=answer[:200]) from error
        raise refusal(answer, "the image") from error
    except (SMPTransportDisconnected, OSError, SMPClientException) as error:
        raise UnreachableError(
            f"lost the board at {place.smp}", seen=f"{error}"[:200] or type(error).__name__,
            allowed=f"an answer within {place.answer:g} s", next_step="check cable and power of the board",
        ) from error  # fmt: skip


@contextlib.asynccontextmanager
async def smp_line(place: Place) -> AsyncIterator[SmpLine]:
    """Open the line while inside.

    Raises:
        UnreachableError: there is no such port, another program holds it, or nobody answers.
    """
    from smpclient import SMPClient
    from smpclient.transport.serial import SMPSerialTransport

    address = parse_serial(place.smp)
    async with _told(place):
        transport = SMPSerialTransport(baudrate=address.baud, exclusive=True, write_timeout=place.answer)
        client = SMPClient(transport, address.port, timeout_s=place.answer)
        await client.connect()
    try:
        yield SmpLine(client, place)
    finally:
        await client.disconnect()
