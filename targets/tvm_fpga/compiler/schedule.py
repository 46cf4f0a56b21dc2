"""A region as a timeline: layer by layer, band by band, chunk by chunk, block by block."""

from __future__ import annotations

import dataclasses

from targets.tvm_fpga.compiler.blocks import Block, blocks
from targets.tvm_fpga.compiler.chunks import Chunk, Piece, chunks
from targets.tvm_fpga.compiler.image import Image, padded, stream_bytes
from targets.tvm_fpga.compiler.ir import Layer, Region, Tensor
from targets.tvm_fpga.compiler.layout import View, made, pitch, plain, raw_bytes, rows_needed, slice_tiles
from targets.tvm_fpga.compiler.lower import Places, Share, compute_values
from targets.tvm_fpga.compiler.pack import mode_of
from targets.tvm_fpga.compiler.plan import Plan, buffer, source_view
from targets.tvm_fpga.compiler.program import Port, Program
from targets.tvm_fpga.compiler.stream import merged
from targets.tvm_fpga.compiler.timeline import Span, Timeline
from targets.tvm_fpga.compiler.transfers import Transfers
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Op, encode_all


@dataclasses.dataclass(frozen=True)
class Choices:
    """What can be done in more than one way.

    Attributes:
        parts: of the weight memory; a chunk of weights takes one, the others are loaded meanwhile.
        start: positions of the first block of the first layer, which waits for its input; the next ones are larger.
        eager: loads that come before computations in the stream, while so few of them wait.
    """

    parts: int = 8
    start: int = 64
    eager: int = 0


def schedule(region: Region, geometry: Geometry, places: Plan, choices: Choices) -> Program:
    """The program of a region that was prepared (see :mod:`.compile`).

    Raises:
        UnsupportedError: weights that do not fit, or more instructions than can be counted.
    """
    return _walked(region, geometry, places, choices).program()


def check_schedule(region: Region, geometry: Geometry, places: Plan) -> None:
    """Everything that :func:`schedule` may raise, in a small part of its time: no instruction finds its place."""
    _walked(region, geometry, places, Choices()).room()


def _walked(region: Region, geometry: Geometry, places: Plan, choices: Choices) -> Scheduler:
    scheduler = Scheduler(region, geometry, places, choices)
    for number in range(len(region.layers)):
        scheduler.layer(number)
    return scheduler


class Scheduler:
    """What all layers share: places, memory, the timeline."""

    def __init__(self, region: Region, geometry: Geometry, places: Plan, choices: Choices) -> None:
        self.region, self.geometry, self.plan, self.choices = region, geometry, places, choices
        self.image, self.timeline = Image(), Timeline(geometry)
        self.transfers = Transfers(self.timeline, self.image, geometry)
        self.inputs = {tensor.name: self._input(tensor) for tensor in region.sources}
        kept = {tensor.name: tensor for tensor in region.outs}
        kept |= {name: region.tensors[name] for name in self.plan.spilled if name not in self.inputs}
        self.stored = {name: self._port(tensor) for name, tensor in kept.items()}
        for name, port in (self.inputs | self.stored).items():
            self.timeline.rows(name, port.tensor.height)
        #: Rows of resident inputs that are there.
        self.there = dict.fromkeys(self.inputs, 0)
        self.names: list[str] = []

    def _port(self, tensor: Tensor) -> Port:
        lanes = self.geometry.lanes
        return self.image.port(tensor, pitch(tensor, self.geometry) * lanes, tensor.tiles(lanes) * lanes)

    def _input(self, tensor: Tensor) -> Port:
        """Raw, if its only user wants it cut into runs."""
        for number in self.region.users(tensor.name):
            layer, run = self.region.layers[number], self.plan.runs[number]
            if run and layer.source.name == tensor.name:
                row = raw_bytes(layer, run, self.geometry)
                return self.image.port(tensor, row, tensor.channels, layer.padding[1])
        return self._port(tensor)

    def layer(self, number: int) -> None:
        """All instructions of a layer."""
        _LayerSchedule(self, number).all()

    def room(self) -> int:
        """The address of the stream, which ends with FINISH."""
        count = 1 + sum(len(queue) for queue in self.timeline.queues.values())
        return self.image.room(stream_bytes(padded(count)))

    def program(self) -> Program:
        """The stream and the image."""
        stream = merged(self.timeline, self.choices.eager)
        stream += [Instruction(Op.FINISH, {})] * (padded(len(stream)) - len(stream))
        at = self.room()
        self.image.parts.append((at, encode_all(stream)))
        outs = tuple(self.stored[tensor.name] for tensor in self.region.outs)
        return Program(
            self.geometry, tuple(stream), self.image.bytes(), at, tuple(self.inputs.values()), outs, tuple(self.names)
        )


class _LayerSchedule:
    """One layer."""

    def __init__(self, shared: Scheduler, number: int) -> None:
        self.shared, self.number = shared, number
        self.layer_: Layer = shared.region.layers[number]
        self.run = shared.plan.runs[number]
        self.bands = shared.plan.bands[number]
        self.spilled = {each.name for each in (*self.layer_.sources, self.layer_.out)} & shared.plan.spilled
        self.par = self.wgt = 0
        #: Rows of spilled tensors that are there in this band, by role.
        self.here: dict[str, int] = {}

    def all(self) -> None:
        layer, geometry = self.layer_, self.shared.geometry
        waiting, choices = self.number == 0, self.shared.choices
        parts = 2 if len(self.bands.rows) > 1 else choices.parts
        weights = chunks(layer, geometry, parts, run=self.run, first=waiting and len(self.bands.rows) == 1)
        for turn, rows in enumerate(self.bands.rows):
            places = self._places(turn, rows)
            for chunk in weights:
                if turn == 0 or len(weights) > 1:
                    self._constants(chunk)
                start = choices.start if waiting and turn == 0 and chunk is weights[0] else 0
                for block in blocks(layer, geometry, rows, run=self.run, start=start):
                    self._bring(places, block)
                    self._computes(places, block, chunk)
                    if chunk is weights[-1] and block.column + block.columns == layer.out.width:
                        self._store(places, block)

    def _constants(self, chunk: Chunk) -> None:
        """A chunk's parameters and weights; if those are several pieces, each is loaded when it is used."""
        name, transfers = self.layer_.name, self.shared.transfers
        if chunk.entries is not None:
            self.par = transfers.load_parameters(chunk.entries, name)
        if len(chunk.pieces) == 1:
            self.wgt = transfers.load_weights(chunk.pieces[0], name)

    def _places(self, turn: int, rows: tuple[int, int]) -> Places:
        layer, geometry = self.layer_, self.shared.geometry
        needed = rows_needed(layer, *rows)
        self.here = {"source": needed[0], "other": rows[0]}
        base = self._base("source", layer.source, turn)
        seen = needed if layer.source.name in self.spilled else (0, layer.source.height)
        source = source_view(layer, self.run, geometry, base, seen)
        other = self._view("other", layer.addition.other, turn, rows) if layer.addition else None
        out = self._view("out", layer.out, turn, rows)
        if layer.out.name in self.spilled:
            out = made(layer, geometry, out.base, rows)
        return Places(source, out, other, self.run)

    def _view(self, role: str, tensor: Tensor, turn: int, rows: tuple[int, int]) -> View:
        here = rows if tensor.name in self.spilled else (0, tensor.height)
        return plain(tensor, self.shared.geometry, self._base(role, tensor, turn), here)

    def _base(self, role: str, tensor: Tensor, turn: int) -> int:
        starts = self.shared.plan.starts
        if tensor.name in self.spilled:
            return starts[buffer(self.number, role, turn % self.bands.turns)]
        return starts[tensor.name]

    def _bring(self, places: Places, block: Block) -> None:
        """Rows that a block sees and that are not there yet."""
        layer = self.layer_
        first, count = rows_needed(layer, block.row, block.rows)
        self._load("source", layer.source, places.source, first + count)
        if layer.addition and places.other:
            self._load("other", layer.addition.other, places.other, block.row + block.rows)

    def _load(self, role: str, tensor: Tensor, view: View, until: int) -> None:
        shared, name = self.shared, tensor.name
        spilled = name in self.spilled
        if not spilled and name not in shared.inputs:
            return
        there = self.here[role] if spilled else shared.there[name]
        if until <= there:
            return
        port = shared.inputs.get(name) or shared.stored[name]
        shared.transfers.load_rows(port, view, (there, until - there), self.layer_ if port.raw else None)
        if spilled:
            self.here[role] = until
        else:
            shared.there[name] = until

    def _computes(self, places: Places, block: Block, chunk: Chunk) -> None:
        """One instruction per piece of the chunk's weights."""
        for number, piece in enumerate(chunk.pieces):
            more = number + 1 < len(chunk.pieces)
            if len(chunk.pieces) > 1:
                self.wgt = self.shared.transfers.load_weights(piece, self.layer_.name)
            slice_ = 0 if self.layer_.out.name in self.spilled else self.layer_.at // self.shared.geometry.lanes
            out = chunk.group + slice_
            share = Share(chunk.group, chunk.groups, out, piece.tile, piece.tiles, carry=number > 0, keep=more)
            self._compute(places, block, piece, share, self.par + chunk.entry)

    def _compute(self, places: Places, block: Block, piece: Piece, share: Share, par: int) -> None:
        layer, wgt, geometry = self.layer_, self.wgt, self.shared.geometry
        values = compute_values(layer, mode_of(layer, geometry), places, block, share) | {"par": par, "wgt": wgt}
        seen = places.source.span(*rows_needed(layer, block.row, block.rows))
        reads = [Span("act", *seen), Span("wgt", wgt, wgt + len(piece.rows)), Span("par", par, par + share.groups)]
        if places.other:
            reads.append(Span("act", *places.other.span(block.row, block.rows)))
        out = Span("act", *places.out.span(block.row, block.rows))
        self.shared.timeline.add(Op.COMPUTE, values, layer.name, reads, [] if share.keep else [out])
        self.shared.names.append(layer.name)

    def _store(self, places: Places, block: Block) -> None:
        """Rows that are complete, if they are needed in memory."""
        shared, out = self.shared, self.layer_.out
        port = shared.stored.get(out.name)
        spilled = out.name in self.spilled
        if port is None or (not spilled and self.number != max(shared.region.writers(out.name))):
            return
        rows = (block.row, block.rows)
        if spilled and slice_tiles(self.layer_, shared.geometry):
            shared.transfers.store_slice(port, places.out, rows, self.layer_.at)
        else:
            shared.transfers.store_rows(port, places.out, rows)
