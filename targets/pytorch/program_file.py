"""Writing ``.pt2`` files that say nothing of the machine they were made on: equal programs give equal bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from targets.files import write_bytes


def save_program(program: Any, out: Path) -> None:
    """Write a program of ``torch.export`` without its example inputs, and without where its operators came from.

    That is paths of source files, and numbers that differ from run to run. The names of layers stay.

    Raises:
        OutputError: the file cannot be written.
    """
    import torch

    program.example_inputs = None
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            for key in ("stack_trace", "from_node"):
                node.meta.pop(key, None)
    buffer = io.BytesIO()  # a file on disk would leave its name inside
    torch.export.save(program, buffer)
    write_bytes(out, buffer.getvalue())
