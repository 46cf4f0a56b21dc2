"""Loads and stores: rows of tensors, chunks of weights, parameters."""

from __future__ import annotations

from profiles.runner import Array
from targets.tvm_fpga.compiler.chunks import Piece, Ring
from targets.tvm_fpga.compiler.image import Image
from targets.tvm_fpga.compiler.ir import Layer
from targets.tvm_fpga.compiler.layout import View
from targets.tvm_fpga.compiler.program import Port
from targets.tvm_fpga.compiler.timeline import Span, Timeline
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Memory, Op

#: The most beats of a row, and the most rows of one instruction.
MOST = 65535


class Transfers:
    """Adds loads and stores to a timeline."""

    def __init__(self, timeline: Timeline, image: Image, geometry: Geometry) -> None:
        self.timeline, self.image, self.geometry = timeline, image, geometry
        self.weights, self.entries = Ring(geometry.weights), Ring(geometry.parameters)

    def load_rows(self, port: Port, view: View, rows: tuple[int, int], layer: Layer | None) -> None:
        """Rows (first, count) of a tensor in memory; ``layer`` if they are to be cut into runs for it."""
        first, count = rows
        low, high = view.span(first, count)
        values = self._rows(port, view, rows, low, whole=layer is None) | {"memory": int(Memory.ACTIVATIONS)}
        if layer is not None:
            step = layer.stride[1] * layer.source.channels
            values |= {"expand": 1, "outputs": view.columns, "step": step, "run": view.pixel}
        self._add(
            Op.LOAD,
            values,
            f"{port.tensor.name} rows {first} to {first + count - 1}",
            Span(port.tensor.name, first, first + count),
            Span("act", low, high),
        )

    def store_rows(self, port: Port, view: View, rows: tuple[int, int]) -> None:
        """Rows (first, count) of a tensor on the chip."""
        first, count = rows
        low, high = view.span(first, count)
        values = self._rows(port, view, rows, low, whole=True)
        self._add(
            Op.STORE,
            values,
            f"{port.tensor.name} rows {first} to {first + count - 1}",
            Span("act", low, high),
            Span(port.tensor.name, first, first + count),
        )

    def store_slice(self, port: Port, view: View, rows: tuple[int, int], at: int) -> None:
        """Rows of some channels, from ``at`` on: position by position, row by row."""
        for row in range(rows[0], rows[0] + rows[1]):
            low, high = view.span(row, 1)
            values = {
                "dram": port.at + row * port.row_bytes + at,
                "dram_stride": port.pixel_bytes,
                "sram": low,
                "sram_stride": view.pixel,
                "rows": view.columns,
                "len": view.pixel * self.geometry.lanes // self.geometry.port,
            }
            note = f"{port.tensor.name} row {row}, channels from {at}"
            self._add(Op.STORE, values, note, Span("act", low, high), Span(port.tensor.name, row, row + 1))

    def _rows(self, port: Port, view: View, rows: tuple[int, int], low: int, *, whole: bool) -> dict[str, int]:
        """Plain rows lie one after the other in both places and are moved as one, if that is not too long."""
        first, count = rows
        beats = port.row_bytes // self.geometry.port
        values = {"dram": port.at + first * port.row_bytes, "sram": low}
        if whole and beats * count <= MOST:
            return values | {"rows": 1, "len": beats * count}
        strides = {"dram_stride": port.row_bytes, "sram_stride": view.pitch}
        return values | strides | {"rows": count, "len": beats}

    def load_parameters(self, entries: Array, name: str) -> int:
        """Where entries begin."""
        at = self.entries.take(len(entries))
        self._constants(entries.tobytes(), at, len(entries), Memory.PARAMETERS, f"parameters of {name}")
        return at

    def load_weights(self, piece: Piece, name: str) -> int:
        """The row at which a piece's weights begin."""
        at = self.weights.take(len(piece.rows))
        self._constants(piece.rows.tobytes(), at, len(piece.rows), Memory.WEIGHTS, f"weights of {name}")
        return at

    def _constants(self, content: bytes, at: int, count: int, memory: Memory, note: str) -> None:
        values = {"dram": self.image.put(content), "sram": at, "rows": 1, "len": len(content) // self.geometry.port}
        place = {Memory.WEIGHTS: "wgt", Memory.PARAMETERS: "par"}[memory]
        self._add(Op.LOAD, values | {"memory": int(memory)}, note, None, Span(place, at, at + count))

    def _add(self, op: Op, values: dict[str, int], note: str, source: Span | None, target: Span) -> None:
        self.timeline.add(op, values, note, [source] if source else [], [target])
