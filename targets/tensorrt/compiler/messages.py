"""What TensorRT says, collected and turned into our errors; the table of messages is ``message_rows.py``."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from profiles.errors import EdgewrightError, ModelError, ToolCrashError, UnsupportedError
from targets.tensorrt.compiler.message_rows import ROWS, Row

#: ``ILogger.Severity``, the lower the worse.
ERROR, WARNING, INFO = 1, 2, 3
_MOST_MESSAGES, _LONGEST_MESSAGE = 10_000, 20_000
_KINDS: dict[str, type[EdgewrightError]] = {
    "UNSUPPORTED": UnsupportedError,
    "INVALID": ModelError,
    "MODEL": ModelError,
}

#: Says where in the user's program a node came from, by its name; empty when that is not known.
Locate = Callable[[str], str]


def nowhere(node: str) -> str:
    """Where nothing is known of the program that the model came from."""
    return ""


@dataclasses.dataclass(frozen=True)
class Message:
    """One line of the library's log."""

    severity: int
    text: str


def make_log(module: Any) -> Any:
    """A logger for ``module`` whose list ``messages`` holds a :class:`Message` for whatever is said, up to INFO."""

    class Log(module.ILogger):  # type: ignore[misc]
        """Keeps messages instead of printing them."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.messages: list[Message] = []

        def log(self, severity: Any, text: str) -> None:
            """Called by the library, from any of its threads."""
            if int(severity) <= INFO and len(self.messages) < _MOST_MESSAGES:
                self.messages.append(Message(int(severity), str(text)[:_LONGEST_MESSAGE]))

    return Log()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's garbage collector from running while the library works.

    The library calls our logger while it holds a lock of its own. If a collection came in between and freed another
    builder or runtime, that would wait for the same lock forever.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def said(messages: Iterable[Message], severity: int) -> list[str]:
    """The texts of that severity or worse."""
    return [message.text for message in messages if message.severity <= severity]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One error of the ONNX parser (``IParserError``).

    Attributes:
        node, op: name and operator of the ONNX node; empty where the whole graph is at fault.
        index: of the node in the graph, or -1.
        code: name of the parser's error code, such as ``UNSUPPORTED_NODE``.
        text: what is wrong.
        source: the parser's own file and line.
        function: the parser's own function.
        stack: the ONNX functions that the node is in.
    """

    node: str
    op: str
    index: int
    code: str
    text: str
    source: str = ""
    function: str = ""
    stack: tuple[str, ...] = ()


def parser_faults(parser: Any) -> list[Fault]:
    """All errors of an ``OnnxParser``, in the order in which it met them."""
    return [_fault(parser.get_error(index)) for index in range(parser.num_errors)]


def _fault(error: Any) -> Fault:
    stack = error.local_function_stack() if hasattr(error, "local_function_stack") else ()
    return Fault(
        str(error.node_name()),
        str(error.node_operator()),
        int(error.node()),
        str(getattr(error.code(), "name", error.code())),
        str(error.desc()),
        f"{error.file()}:{error.line()}",
        str(error.func()),
        tuple(str(name) for name in stack or ()),
    )


def fault_error(wanted: str, faults: Sequence[Fault], locate: Locate = nowhere) -> EdgewrightError:
    """The error for a model that the parser refuses: the first fault that a row explains, else the first."""
    if not faults:
        return ToolCrashError(wanted, seen="the parser refused the model and gave no reason")
    known = [(fault, found) for fault in faults if (found := _find([_full_text(fault)]))]
    fault, found = known[0] if known else (faults[0], None)
    where = _where(fault, locate)
    more = f"; {len(faults) - 1} more" if len(faults) > 1 else ""
    if found:
        return _from_row(wanted, *found, where, f" ({fault.source}{more})")
    kind = _KINDS.get(fault.code.split("_", maxsplit=1)[0], ToolCrashError)
    return kind(wanted, seen=f"{where}{tidy(fault.text)} ({fault.source}{more})")


def fault_reason(fault: Fault) -> str:
    """What is wrong with a node, in one sentence: of the table, else the parser's own."""
    found = _find([_full_text(fault)])
    if not found:
        return tidy(fault.text)
    row, match = found
    allowed = _fill(row.allowed, match)
    return _fill(row.seen, match) + (f"; allowed: {allowed}" if allowed else "")


def _full_text(fault: Fault) -> str:
    return f"In function {fault.function}: {fault.text}" if fault.text in ("", "false") else fault.text


def _where(fault: Fault, locate: Locate) -> str:
    if not (fault.node or fault.op):
        return ""
    named = f"node '{fault.node}'" if fault.node else f"node {fault.index}"
    inside = f" in function {' in '.join(fault.stack)}" if fault.stack else ""
    return f"{named} ({fault.op}){inside}{_origin(fault.node, locate)}: "


def _origin(node: str, locate: Locate) -> str:
    origin = locate(node)
    return f", {origin}" if origin else ""


def message_error(wanted: str, texts: Sequence[str], locate: Locate = nowhere) -> EdgewrightError:
    """The error for a build or a load that gave nothing, from the texts that the library logged meanwhile."""
    found = _find(texts)
    if found:
        row, match = found
        layer = match[row.subject] if row.subject else ""
        origin = locate(layer) if layer else ""
        return _from_row(wanted, row, match, f"layer '{layer}', {origin}: " if origin else "", "")
    last = next((tidy(text) for text in reversed(texts) if tidy(text)), "")
    return ToolCrashError(
        wanted,
        seen=last or "no engine, and no reason given",
        next_step="try another optimization_level, precision or version of the library",
    )


def refused_warning(wanted: str, texts: Iterable[str]) -> EdgewrightError | None:
    """The error for a warning that means that the engine would compute something else than the model."""
    found = _find([text for text in texts if "Defaulting to INT8 instead" in text])
    return _from_row(wanted, *found, "", "") if found else None


def _find(texts: Sequence[str]) -> tuple[Row, re.Match[str]] | None:
    """The first row of the table that any of the texts matches."""
    return next(((row, match) for row in ROWS for text in texts if (match := row.match(text))), None)


def _from_row(wanted: str, row: Row, match: re.Match[str], before: str, after: str) -> EdgewrightError:
    return row.kind(
        wanted,
        seen=f"{before}{_fill(row.seen, match)}{after}",
        allowed=_fill(row.allowed, match),
        next_step=row.next_step,
    )


def _fill(text: str, match: re.Match[str]) -> str:
    return text.format_map({name: value or "" for name, value in match.groupdict().items()})


def tidy(text: str) -> str:
    """A message without what only the library's authors can read: source lines, error codes, a driver's aftermath."""
    lines = [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)] or text.splitlines()[:1]
    words = _TAIL.sub("", lines[0] if lines else "")
    return _HEAD.sub("", words).strip(" .\"()'")


_NOISE = re.compile(r"catchCudaError|^Invalid Node - |While parsing node number|--- (Begin|End) node ---")
_TAIL = re.compile(r"\.? In \w+ at /\S+:\d+\)*.*$")
_HEAD = re.compile(
    r"^(?:\d: )?(?:\[[\w.:]+\] |\w+::\w+: )?(?:Error Code:? \d+: )?(?:(?:[A-Z]\w+ ?)+ \()?(?:Assertion failed: )?"
)
