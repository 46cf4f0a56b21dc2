"""python-tuf's client over our transport: bytes in, and its errors in our words."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api import exceptions as tuf
from tuf.ngclient.fetcher import FetcherInterface

from profiles.errors import EdgewrightError, UnreachableError, VerificationError
from toolchain.fleet.agent.answers import HttpError
from toolchain.fleet.agent.disk import disk_error
from toolchain.fleet.agent.protocols import Transport
from toolchain.fleet.documents.strict import MOST_BYTES


class Fetcher(FetcherInterface):
    """Gives python-tuf bytes from our transport, in memory: no temporary file is needed."""

    def __init__(self, transport: Transport, base: str, folder: Path) -> None:
        self._transport, self.base, self.folder = transport, base, folder
        self.last: EdgewrightError | None = None

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter((self.download_bytes(url, MOST_BYTES),))

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """All of a file."""
        path = url.removeprefix(self.base)
        try:
            return b"".join(self._transport.get(path, 0, max_length))
        except HttpError as error:
            self.last = error
            raise tuf.DownloadHTTPError(str(error), error.status) from error
        except EdgewrightError as error:
            self.last = error
            raise tuf.DownloadError(str(error)) from error


def date(seconds: float) -> str:
    """A time since 1970 for people."""
    moment = datetime.datetime.fromtimestamp(max(0.0, min(seconds, 4e9)), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


class Translated:
    """python-tuf's errors as ours."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def __enter__(self) -> None:
        self._fetcher.last = None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, tuf.ExpiredMetadataError):
            raise VerificationError(
                "the repository's metadata has expired",
                seen=f"{error}; this clock says {date(datetime.datetime.now(datetime.timezone.utc).timestamp())}",
                next_step="if the clock is right: the mirror is frozen, or the repository needs a refresh",
            ) from error
        if isinstance(error, tuf.DownloadError):
            raise self._fetcher.last or UnreachableError("wanted metadata", seen=str(error)[:300]) from error
        if isinstance(error, (tuf.RepositoryError, ValueError, KeyError)):
            raise VerificationError(
                "the repository's metadata is not to be trusted",
                seen=f"{type(error).__name__}: {error}"[:300],
                next_step="do not use this mirror; ask who runs the repository",
            ) from error
        if isinstance(error, OSError):
            raise disk_error(Path(error.filename or self._fetcher.folder), error) from error
