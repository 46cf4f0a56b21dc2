"""Writing a fleet's signed files: one at a time, all or nothing, and whole again after whoever was killed."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator, Sequence

from filelock import FileLock, Timeout

from profiles.errors import ConfigError
from targets.files import output_error
from toolchain.fleet.home import REPOSITORY, Home, open_home
from toolchain.fleet.trust import journal
from toolchain.fleet.trust.draft import Draft
from toolchain.fleet.trust.keys import KeyRing
from toolchain.fleet.trust.pruning import replaced_now
from toolchain.fleet.trust.reading import Reader
from toolchain.fleet.trust.roles import ONLINE
from toolchain.fleet.trust.seen import SEEN

#: Seconds to wait for another writer.
PATIENCE = 30.0
LOCK = ".lock"


def no_passphrase(name: str) -> str:
    """For programs that sign with online keys only.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"the key {name} is offline", seen="no passphrase", allowed="online keys: " + ", ".join(ONLINE))


class Writer(Reader):
    """A fleet's signed files, for who changes them.

    Args:
        home: whose.
        passphrase: gives the passphrase of an offline key by its name; asked only when such a key must sign.
    """

    def __init__(self, home: Home, passphrase: Callable[[str], str] = no_passphrase) -> None:
        super().__init__(home)
        self.keys = KeyRing(home.folder, passphrase)
        self._lock = FileLock(home.folder / LOCK, timeout=PATIENCE)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Draft]:
        """A draft of the next state, under the lock; it is signed and written when the block ends well.

        Raises:
            ConfigError: another process is writing, or keys that must sign cannot.
            VerificationError: what is there is damaged.
            OutputError: the disk refuses.
        """
        with self.locked():
            draft = self.draft()
            yield draft
            self.write(draft)

    def draft(self) -> Draft:
        """An empty draft of the next state; the caller has the lock."""
        return Draft(self.state(), self.home.settings, self.keys, now())

    def write(self, draft: Draft, also: Sequence[tuple[str, bytes]] = ()) -> None:
        """Sign a draft and put everything in its place; the caller has the lock.

        Args:
            draft: an empty one writes nothing.
            also: files below the home that change together with it.

        Raises:
            ConfigError: keys that must sign cannot.
            OutputError: the disk refuses.
        """
        if files := draft.files():
            places = [(f"{REPOSITORY}/{path}", content) for path, content in files]
            replaced_now(self.home.repository, draft.superseded())
            journal.write_together(self.home.folder, [*also, *places, (SEEN, draft.versions())])

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes meanwhile; what a killed writer left is carried out first, and settings are read anew.

        Raises:
            ConfigError: another process is writing.
            OutputError: the home cannot be written.
        """
        self._acquire()
        try:
            journal.replay(self.home.folder)
            self.home = open_home(self.home.folder)
            yield
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ConfigError(
                f"wanted to write to {self.home.repository}",
                seen="another process is writing there",
                next_step="wait for it to end",
            ) from error
        except OSError as error:
            raise output_error(self.home.folder / LOCK, error) from error


def now() -> datetime.datetime:
    """The time in UTC, in whole seconds as metadata has it."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
