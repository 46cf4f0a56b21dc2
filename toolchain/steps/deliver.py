"""Put finished bundles, the summary and the report where the user wants them, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from profiles.errors import ConfigError, OutputError
from targets.artifact import output_error, publish, write_json
from toolchain.summary import FILE, BuildResult

_STAGING = ".staging-"


class Delivery:
    """The output folder, held by one build at a time."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._staging = out / f"{_STAGING}{os.getpid()}"
        self._lock = FileLock(out / ".lock")

    def __enter__(self) -> Self:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            for left in self.out.glob(f"{_STAGING}*"):  # of builds that were killed: their lock is gone
                shutil.rmtree(left, ignore_errors=True)
            self._staging.mkdir()
        except Timeout as error:
            raise ConfigError(
                f"another build is writing to {self.out}", next_step="wait for it, or choose another folder with --out"
            ) from error
        except OSError as error:
            raise output_error(self.out, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        self._lock.release()
        with contextlib.suppress(OSError):
            (self.out / ".lock").unlink()

    @contextlib.contextmanager
    def bundle(self, name: str, made: Path) -> Iterator[Path]:
        """A writable copy of a finished bundle; it takes its place when the block ends well."""
        staged = self._staging / name
        try:
            shutil.copytree(made, staged, copy_function=shutil.copyfile)
            for path in [staged, *staged.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)
        except (OSError, shutil.Error) as error:
            raise _refused(self.out, error) from error
        yield staged
        publish(staged, self.out / name)

    def finish(self, result: BuildResult) -> BuildResult:
        """Write the summary and the report."""
        from toolchain.report import write_report

        write_json(self.out / FILE, result.as_dict())
        write_report(self.out)
        return result


def _refused(out: Path, error: OSError | shutil.Error) -> OutputError:
    if isinstance(error, OSError) and error.errno is not None:
        return output_error(out, error)
    return OutputError(f"cannot write {out}", seen=str(error), next_step="free some space, or use --out")
