"""The one place where errors become exit codes."""

from __future__ import annotations

from profiles import errors

FINE = 0
OUR_FAULT = 1
INTERRUPTED = 130
TERMINATED = 143

#: Exit code and meaning, for the documentation.
MEANINGS = {
    0: "fine",
    1: "our fault: a bug, or a vendor tool that crashed; run again with --debug",
    2: "wrong usage, configuration or data, or an output that cannot be written",
    3: "the model, an operator, a precision or a feature is not supported",
    4: "built and measured, but a budget is missed",
    5: "a tool or runtime is missing; edgewright doctor says how to install it",
    6: "verification against golden outputs, hashes or the float reference failed",
    7: "the device cannot be reached, or the connection was lost",
    8: "the fleet's server refuses this device: it was revoked, or was never enrolled",
    130: "interrupted",
    143: "terminated",
}

_CODES: dict[type[errors.EdgewrightError], int] = {
    errors.ConfigError: 2,
    errors.DataError: 2,
    errors.OutputError: 2,
    errors.ModelError: 3,
    errors.UnsupportedError: 3,
    errors.BudgetMissedError: 4,
    errors.MissingToolError: 5,
    errors.VerificationError: 6,
    errors.UnreachableError: 7,
    errors.RefusedError: 8,
    errors.ToolCrashError: 1,
}


def exit_code(error: errors.EdgewrightError) -> int:
    """The code of an error's class, or of the nearest class above it."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), OUR_FAULT)
