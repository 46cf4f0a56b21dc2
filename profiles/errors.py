"""The errors that users meet: what was wanted, what was seen, what is allowed, what to do next.

Every error that Edgewright raises on purpose derives from :class:`EdgewrightError`. The command
line maps each subclass to an exit code in one place (``profiles/exit_codes.py``).
"""

from __future__ import annotations


class EdgewrightError(Exception):
    """Root of all errors raised on purpose.

    Args:
        wanted: what was being attempted or expected, as a sentence without a full stop.
        seen: what was found instead.
        allowed: the values or limits that would have been accepted.
        next_step: the command or edit that gets the user further.
    """

    def __init__(self, wanted: str, *, seen: str = "", allowed: str = "", next_step: str = "") -> None:
        self.wanted = wanted
        self.seen = seen
        self.allowed = allowed
        self.next_step = next_step
        super().__init__(self._render())

    def _render(self) -> str:
        parts = [self.wanted]
        for label, text in (("seen", self.seen), ("allowed", self.allowed), ("next", self.next_step)):
            if text:
                parts.append(f"  {label + ':':<9}{text}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Survive a trip between processes with all four fields."""
        return _rebuild, (type(self), self.wanted, self.seen, self.allowed, self.next_step)

    def as_dict(self) -> dict[str, str]:
        """The error as data: ``{"type", "wanted", "seen", "allowed", "next_step"}``."""
        return {
            "type": type(self).__name__,
            "wanted": self.wanted,
            "seen": self.seen,
            "allowed": self.allowed,
            "next_step": self.next_step,
        }


def _rebuild(kind: type[EdgewrightError], wanted: str, seen: str, allowed: str, next_step: str) -> EdgewrightError:
    return kind(wanted, seen=seen, allowed=allowed, next_step=next_step)


class ConfigError(EdgewrightError):
    """A command line, an ``edge.toml`` or a device profile that cannot be used as written."""


class DataError(EdgewrightError):
    """A data set that is missing, empty, of one class, of the wrong shape, or not finite."""


class OutputError(EdgewrightError):
    """The result cannot be written: permissions, a full disk, a path in the way."""


class ModelError(EdgewrightError):
    """A model file that is corrupt, or whose contents cannot be used (such as NaN weights)."""


class UnsupportedError(EdgewrightError):
    """A model, operator, precision or device feature that the target does not have."""


class BudgetMissedError(EdgewrightError):
    """A bundle was built and measured, and misses its budget."""


class MissingToolError(EdgewrightError):
    """A package, runtime or program that is not installed."""


class VerificationError(EdgewrightError):
    """Outputs or hashes differ from what the manifest or the reference says."""


class UnreachableError(EdgewrightError):
    """The device did not answer, or the connection was lost."""


class RefusedError(EdgewrightError):
    """The fleet's server knows this device, and does not want it any more."""


class ToolCrashError(EdgewrightError):
    """A vendor tool or a child process ended in a way it should not."""


def _kinds(root: type[EdgewrightError]) -> list[type[EdgewrightError]]:
    """The class and all classes below it."""
    return [root, *(kind for child in root.__subclasses__() for kind in _kinds(child))]


def error_from_dict(data: dict[str, str]) -> EdgewrightError:
    """Rebuild an error sent by :meth:`EdgewrightError.as_dict` from another process.

    An unknown type becomes :class:`ToolCrashError`, so that nothing is lost.
    """
    known = {kind.__name__: kind for kind in _kinds(EdgewrightError)}
    kind = known.get(data.get("type", ""), ToolCrashError)
    return _rebuild(
        kind, data.get("wanted", ""), data.get("seen", ""), data.get("allowed", ""), data.get("next_step", "")
    )
