"""A file's graph, ready to be lowered: read, checked, without resources, simplified."""

from __future__ import annotations

from pathlib import Path

from targets.tflite_micro.graph.ir import Graph
from targets.tflite_micro.graph.read import Model, parse_graph, read_graph
from targets.tflite_micro.graph.simplify import simplify
from targets.tflite_micro.graph.variables import resolve, write_through


def load_graph(path: Path) -> Graph:
    """The graph of a file.

    Raises:
        ConfigError: the file cannot be read.
        ModelError: it is no TFLite file, is damaged, or its shapes contradict each other.
        UnsupportedError: no firmware could run it (dynamic shapes, resources that cannot be followed).
    """
    return _ready(read_graph(path))


def load_graph_bytes(data: bytes, name: str) -> Graph:
    """The graph of a file's bytes; errors as :func:`load_graph`."""
    return _ready(parse_graph(data, name))


def _ready(model: Model) -> Graph:
    return write_through(simplify(resolve(model)))
