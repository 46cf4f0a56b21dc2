"""Put finished bundles, the summary and the report where the user wants them, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from profiles.errors import ConfigError, OutputError
from targets.artifact import output_error, publish, write_json
from targets.files import check_replaceable
from toolchain.project.device_section import RESERVED_NAMES
from toolchain.summary import FILE, BuildResult

_STAGING = ".staging-"


class Delivery:
    """The output folder, held by one build at a time.

    Bundles are staged in a hidden folder and take their places together when the build ends well, so that
    the summary speaks of the bundles beside it. A build that fails leaves everything as it was.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._staging = out / f"{_STAGING}{os.getpid()}"
        self._lock = FileLock(out / ".lock")
        self._staged: list[Path] = []
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        try:
            self._made = [path for path in (self.out, *self.out.parents) if not path.exists()]
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            for left in self.out.glob(f"{_STAGING}*"):  # of builds that were killed: their lock is gone
                shutil.rmtree(left, ignore_errors=True)
            self._staging.mkdir()
        except Timeout as error:
            raise ConfigError(
                f"wanted to write to {self.out}",
                seen="another build is writing there",
                next_step="wait for it, or choose another folder with --out",
            ) from error
        except OSError as error:
            self._leave()
            raise output_error(self.out, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        self._leave()

    def _leave(self) -> None:
        """Let go of the folder; it vanishes again if we made it and it is empty."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                (self.out / ".lock").unlink()  # while it is ours: nobody else may hold it under this name
            self._lock.release()
        for path in self._made:
            with contextlib.suppress(OSError):  # not empty: there is something to keep
                path.rmdir()

    def check(self, names: Iterable[str]) -> None:
        """Check, before any work is done, that bundles, summary and report may take their places.

        Raises:
            OutputError: something is there that is none.
        """
        for name in names:
            check_replaceable(self.out / name)
        for name in RESERVED_NAMES:
            if (self.out / name).is_dir():
                raise OutputError(
                    f"wanted to write {self.out / name}",
                    seen="a folder of that name",
                    next_step="move it away, or choose another folder with --out",
                )

    def stage(self, name: str, made: Path) -> Path:
        """A writable copy of a finished bundle.

        Raises:
            OutputError: it cannot be written.
        """
        staged = self._staging / name
        try:
            staged.mkdir()
            for source in sorted(made.rglob("*")):
                copy = staged / source.relative_to(made)
                if source.is_dir():
                    copy.mkdir()
                else:
                    shutil.copyfile(source, copy)
                    if source.stat().st_mode & stat.S_IXUSR:
                        copy.chmod(0o755)
        except OSError as error:
            raise output_error(self.out, error) from error
        self._staged.append(staged)
        return staged

    def withdraw(self, name: str) -> None:
        """Take back a bundle, whether it was staged or not."""
        self._staged = [staged for staged in self._staged if staged.name != name]

    def finish(self, result: BuildResult) -> BuildResult:
        """Write the summary and the report, and put everything in its place; from here on nothing needs room."""
        from toolchain.report import write_report

        write_json(self._staging / FILE, result.as_dict())
        page = write_report(self._staging)
        for staged in self._staged:
            publish(staged, self.out / staged.name)
        try:
            (self._staging / FILE).replace(self.out / FILE)
            page.replace(self.out / page.name)
        except OSError as error:
            raise output_error(self.out, error) from error
        return result
