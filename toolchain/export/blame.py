"""What an exporter's exception says: the operator, the user's source line, and the reason in one line."""

from __future__ import annotations

import dataclasses
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

_OPERATOR = (
    r"No ONNX function found for <OpOverload\(op='([\w.:]+)'",
    r"Lowering not found: ([\w.:]+)",
    r"Unsupported operator:? ([\w.:]+)",
    r"target=torch\.ops\.([\w.:]+)",
)
_FRAME = re.compile(r'File "([^"]+)", line (\d+)(?:, in \w+)?\n\s*(\S.*)')
_COLOUR = re.compile(r"\x1b?\[\d+m")
_LIBRARIES = tuple(str(Path(sysconfig.get_path(name))) for name in ("stdlib", "purelib", "platlib"))
_OURS = str(Path(__file__).parent)


@dataclasses.dataclass(frozen=True)
class Blame:
    """``operator`` and ``source`` are empty where the exception does not tell."""

    reason: str
    operator: str = ""
    source: str = ""


def read_blame(error: BaseException) -> Blame:
    """Read an exception and those that it came from."""
    chain = list(_chain(error))
    text = "\n".join(str(link) for link in chain)
    found = next((match for pattern in _OPERATOR if (match := re.search(pattern, text))), None)
    return Blame(_reason(chain), found.group(1).removesuffix(".default") if found else "", _source(chain, text))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _reason(chain: list[BaseException]) -> str:
    """The first line of the innermost exception that says anything."""
    for link in reversed(chain):
        lines = [line.strip() for line in _COLOUR.sub("", str(link)).splitlines() if line.strip()]
        if lines:
            return lines[0]
    return type(chain[0]).__name__


def _source(chain: list[BaseException], text: str) -> str:
    """The last line of the user's own code, from the message or else from the traceback."""
    quoted = [(file, int(line), code) for file, line, code in _FRAME.findall(text) if _is_users(file)]
    if quoted:
        file, line, code = quoted[-1]
        return f"{Path(file).name}:{line}: {code.strip()}"
    for link in reversed(chain):
        frames = _below_libraries(traceback.extract_tb(link.__traceback__))
        if frames:
            return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}"
    return ""


def _below_libraries(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """The user's frames that a library called; those before are of the program that asked for the export."""
    first = next((i for i, frame in enumerate(frames) if not _is_users(frame.filename)), len(frames))
    return [frame for frame in frames[first:] if _is_users(frame.filename)]


def _is_users(file: str) -> bool:
    return not file.startswith((*_LIBRARIES, _OURS, "<"))
