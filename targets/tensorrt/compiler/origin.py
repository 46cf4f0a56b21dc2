"""Where in the user's program an ONNX node came from, as far as the file tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from targets.onnx_tools import all_graphs, load_onnx

#: The layer, in files that Edgewright exported (``toolchain/export/onnx.py``).
_SCOPE = "scope"
#: Where ``torch.onnx.export`` keeps a traceback (``dynamo=True``), and how the older exporter's doc strings look.
_TRACE = "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+)[^\n]*(?:\n\s+(?P<code>[^\n]+))?')
_OLD_FRAME = re.compile(r"^(?P<file>[^\n()]+\.py)\((?P<line>\d+)\): ", re.MULTILINE)
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python3")


class Origins:
    """Reads a file when it is first asked, because that is only after something went wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] | None = None

    def __call__(self, node: str) -> str:
        """Such as ``layer 'blocks.3'``, or ``model.py:12: x = self.conv(x)``; empty where nothing is known.

        Args:
            node: its name; compilers add a number, which is taken off where it does not belong.
        """
        if self._known is None:
            self._known = dict(_named(load_onnx(self._path, external=False)))
        return self._known.get(node) or self._known.get(re.sub(r"_\d+\Z", "", node), "")


def _named(model: Any) -> Iterator[tuple[str, str]]:
    nodes = (node for graph in all_graphs(model.graph) for node in graph.node)
    inner = (node for function in model.functions for node in function.node)
    return ((node.name, origin(node)) for node in (*inner, *nodes) if node.name)


def origin(node: Any) -> str:
    """Of one ``NodeProto``."""
    told = {pair.key: pair.value for pair in node.metadata_props}
    line = _source_line(told.get(_TRACE, "")) or _old_source_line(node.doc_string)
    layer = f"layer '{told[_SCOPE]}'" if told.get(_SCOPE) else ""
    return ", ".join(filter(None, (layer, line)))


def _source_line(trace: str) -> str:
    """The innermost line of the user's own files."""
    frames = [frame for frame in _FRAME.finditer(trace) if not any(part in frame["file"] for part in _LIBRARIES)]
    if not frames:
        return ""
    last = frames[-1]
    code = f": {last['code'].strip()}" if last["code"] else ""
    return f"{PurePosixPath(last['file']).name}:{last['line']}{code}"


def _old_source_line(text: str) -> str:
    """The same in doc strings, which begin with the innermost."""
    for frame in _OLD_FRAME.finditer(text):
        if not any(part in frame["file"] for part in _LIBRARIES):
            return f"{PurePosixPath(frame['file']).name}:{frame['line']}"
    return ""
