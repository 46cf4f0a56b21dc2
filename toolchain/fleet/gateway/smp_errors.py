"""What smpclient and a board say when something goes wrong, in our words."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from profiles.errors import EdgewrightError, UnreachableError, UnsupportedError, VerificationError
from toolchain.fleet.agent.words import one_line
from toolchain.fleet.gateway.place import Place


def plain(text: object) -> str:
    """What a board says, for people: in one line, without characters that cannot be printed, 200 at most."""
    return one_line(str(text)[:1000])[:200]


def refusal(answer: Any, what: str) -> EdgewrightError:
    """The error for a board that said no."""
    from smp.image_management import IMG_MGMT_ERR

    code = getattr(getattr(answer, "err", None), "rc", None)
    name = getattr(code, "name", None) or getattr(getattr(answer, "rc", None), "name", None)
    seen = name.lower().replace("_", " ") if name else plain(answer)
    words = f"the board refused {what}"
    if code is IMG_MGMT_ERR.INVALID_IMAGE_TOO_LARGE:
        return UnsupportedError(words, seen=seen, next_step="choose a smaller model, or give the board larger slots")
    if code is IMG_MGMT_ERR.CURRENT_VERSION_IS_NEWER:
        step = "publish a release with a larger version: boards do not go back"
        return VerificationError(words, seen=seen, allowed="a version larger than the one that runs", next_step=step)
    return VerificationError(words, seen=seen)


@contextlib.asynccontextmanager
async def told(place: Place) -> AsyncIterator[None]:
    """Errors of smpclient, of what it is made of, and of the serial port; nothing else may be done inside.

    Raises:
        UnreachableError: the line was lost, nobody answers, or what is answered is no SMP.
        EdgewrightError: the board refuses an upload.
    """
    from smpclient.exceptions import SMPUploadError
    from smpclient.transport import SMPTransportDisconnected

    try:
        yield
    except SMPUploadError as error:
        answer = error.args[0] if error.args else error
        if isinstance(answer, str):
            raise VerificationError("the board did not keep what was uploaded", seen=plain(answer)) from error
        raise refusal(answer, "the image") from error
    except (SMPTransportDisconnected, OSError) as error:
        raise UnreachableError(
            f"lost the board at {place.smp}", seen=plain(error) or type(error).__name__,
            allowed=f"an answer within {place.answer:g} s", next_step="check cable and power of the board",
        ) from error  # fmt: skip
    except Exception as error:  # its parsers fail in a dozen ways of their own when bytes are damaged, or hostile
        raise UnreachableError(
            f"the board at {place.smp} says what is no answer", seen=plain(f"{type(error).__name__}: {error}"),
            allowed="SMP in frames for serial lines", next_step="check that 'smp' is the line with the SMP server",
        ) from error  # fmt: skip
