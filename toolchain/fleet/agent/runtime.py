"""A bundle's own code, always in a child process with limits on time and memory: the agent never loads an engine."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from profiles.errors import EdgewrightError, MissingToolError, ToolCrashError
from targets.execute import Finished, run_program
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.words import one_line

RUNTIME, BUNDLE = "runtime.pyz", "bundle"
#: What exit codes of ``runtime.pyz`` say (profiles/exit_codes.py), by command.
_REASONS = {("verify", 6): "parity", ("profile", 6): "parity", ("verify", 5): "depends", ("build", 5): "depends"}
#: ``ulimit -d`` counts in KiB; it holds private memory, not what engines only reserve.
_LIMITED = 'ulimit -d "$0" && exec "$@"'
#: Variables of ours that no bundle needs to see.
_OURS = ("EDGEWRIGHT_FLEET_TOKEN", "EDGEWRIGHT_FLEET_PASSPHRASE")


class BundleRuntime:
    """Runs ``runtime.pyz`` of a slot.

    Args:
        python: the interpreter.
        cache: where compiled engines are kept.
        health: the user's command; empty asks nobody.
        seconds, memory: limits of one check; memory in bytes, 0 is no limit.
        measure: seconds of measuring.
        health_seconds: limit of the health check.
    """

    def __init__(
        self, python: str, cache: Path, health: Sequence[str], *, seconds: float, memory: int, measure: float,
        health_seconds: float,
    ) -> None:  # fmt: skip
        self._python, self._cache, self._health = python, cache, health
        self._seconds, self._memory, self._measure, self._patience = seconds, memory, measure, health_seconds

    def build(self, folder: Path) -> None:
        """See :class:`~toolchain.fleet.agent.protocols.Runtime`."""
        self._ask(folder, "build", "--json", "--quiet")

    def golden(self, folder: Path) -> None:
        """See :class:`~toolchain.fleet.agent.protocols.Runtime`."""
        if (folder / RUNTIME).is_file():
            self._ask(folder, "verify", "--json", "--quiet")

    def latency(self, folder: Path) -> Mapping[str, float]:
        """See :class:`~toolchain.fleet.agent.protocols.Runtime`; nothing where the bundle has no runtime."""
        if not (folder / RUNTIME).is_file():
            return {}
        try:
            with tempfile.TemporaryDirectory(prefix="edgewright-agent-") as place:
                out = Path(place, "profile.json")
                self._ask(folder, "profile", "--seconds", f"{self._measure:g}", "--quiet", "--out", str(out))
                return figures(out.read_bytes())
        except OSError as error:
            raise CheckError("internal", one_line(f"no figures came back: {error}")) from error

    def health(self, folder: Path) -> str:
        """See :class:`~toolchain.fleet.agent.protocols.Runtime`."""
        if not self._health:
            return ""
        try:
            done = self._run(self._health, self._patience, {"EDGEWRIGHT_BUNDLE": str(folder / BUNDLE)})
        except (EdgewrightError, OSError) as error:  # a script without an interpreter, a system without memory
            return one_line(str(error))
        return "" if done.status == 0 else one_line(f"the health check ended with {done.status}: {_last(done)}")

    def _ask(self, folder: Path, command: str, *words: str) -> None:
        # -I: neither the user's site nor the working folder nor PYTHON* has a say in what the check runs
        argv = [self._python, "-I", str(folder / RUNTIME), command, str(folder / BUNDLE), *words]
        if self._memory:
            argv = ["/bin/sh", "-c", _LIMITED, str(max(1, self._memory >> 10)), *argv]
        try:
            done = self._run(argv, self._seconds, {"EDGEWRIGHT_ENGINES": str(self._cache)})
        except MissingToolError as error:
            raise CheckError("depends", one_line(str(error))) from error
        except ToolCrashError as error:
            raise CheckError("crash", one_line(str(error))) from error
        except OSError as error:
            raise CheckError("internal", one_line(str(error))) from error
        if done.status:
            usual = "crash" if done.status < 0 else "build" if command == "build" else "crash"
            reason = _REASONS.get((command, done.status), usual)
            raise CheckError(reason, one_line(f"{command} ended with {done.status}: {_last(done)}"))

    def _run(self, argv: Sequence[str], seconds: float, extra: Mapping[str, str]) -> Finished:
        hidden = {name: "" for name in _OURS if name in os.environ}
        return run_program(argv, timeout=seconds, env={**hidden, **extra})


def _last(done: Finished) -> str:
    """The last lines that it printed."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return " | ".join(lines[-6:]) or "it said nothing"


def figures(data: bytes) -> dict[str, float]:
    """Metric to value in SI base units, of a ``profile.json``; what was not measured is not there.

    Raises:
        CheckError: it is none.
    """
    try:
        metrics = json.loads(data)["metrics"]
        return {
            name: float(metric["value"])
            for name, metric in metrics.items()
            if isinstance(metric.get("value"), (int, float))
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckError("crash", f"profile.json cannot be read: {type(error).__name__}") from error
