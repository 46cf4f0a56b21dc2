"""Check of a TFLite file from elsewhere, before any native code sees it.

First the FlatBuffers structure: every table, vector and string that the schema knows must lie inside
the file (the rules of the FlatBuffers internals page, sections "Tables" and "Vectors"). Then the
numbers: every index points at something, every constant has the size that its shape asks for.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from profiles.errors import ModelError
from targets.tflite_file import TfliteFile, TfliteTensor, parse_tflite, tflite_schema
from targets.tflite_tools import constants, item_bits

#: Fields that hold an offset, by table and slot (``schema.fbs``). ``str``, a vector of scalars of so
#: many bytes, ``[Table]`` a vector of tables, ``Table``, or ``union Enum`` whose kind is in the slot before.
OFFSETS: dict[str, dict[int, str]] = {
    "Model": {1: "[OperatorCode]", 2: "[SubGraph]", 3: "str", 4: "[Buffer]", 5: "4", 6: "[Metadata]",
              7: "[SignatureDef]", 8: "[ExternalBufferGroup]", 9: "[ExternalBuffer]"},
    "OperatorCode": {1: "str"},
    "SubGraph": {0: "[Tensor]", 1: "4", 2: "4", 3: "[Operator]", 4: "str"},
    "Tensor": {0: "4", 3: "str", 4: "QuantizationParameters", 6: "SparsityParameters", 7: "4", 9: "[VariantSubType]"},
    "QuantizationParameters": {0: "4", 1: "4", 2: "4", 3: "8", 5: "union QuantizationDetails"},
    "CustomQuantization": {0: "1"},
    "BlockwiseQuantization": {3: "4"},
    "MultiAxisQuantization": {3: "4"},
    "SparsityParameters": {0: "4", 1: "4", 2: "[DimensionMetadata]"},
    "DimensionMetadata": {3: "union SparseIndexVector", 5: "union SparseIndexVector"},
    "Int32Vector": {0: "4"},
    "Uint16Vector": {0: "2"},
    "Uint8Vector": {0: "1"},
    "VariantSubType": {0: "4"},
    "Operator": {1: "4", 2: "4", 4: "union BuiltinOptions", 5: "1", 7: "1", 8: "4", 12: "union BuiltinOptions2"},
    "Buffer": {0: "1"},
    "Metadata": {0: "str"},
    "TensorMap": {0: "str"},
    "SignatureDef": {0: "[TensorMap]", 1: "[TensorMap]", 2: "str"},
    "ExternalBufferGroup": {0: "str"},
    "ExternalBuffer": {4: "str"},
    "ConcatEmbeddingsOptions": {1: "4", 2: "4"},
    "FullyConnectedOptions": {5: "1"},
    "ReshapeOptions": {0: "4"},
    "SqueezeOptions": {0: "4"},
    "VarHandleOptions": {0: "str", 1: "str"},
    "BucketizeOptions": {0: "4"},
    "StableHLOCompositeOptions": {0: "str", 2: "1"},
    "StablehloGatherOptions": {0: "8", 1: "8", 2: "8", 4: "8"},
    "StablehloTransposeOptions": {0: "8"},
    "StablehloDotGeneralOptions": {0: "8", 1: "8", 2: "8", 3: "8", 4: "4"},
    "StablehloReduceWindowOptions": {0: "8", 1: "8", 2: "8", 3: "8", 4: "8"},
    "StablehloBroadcastInDimOptions": {0: "8"},
    "StablehloDynamicSliceOptions": {0: "8"},
    "StablehloPadOptions": {0: "8", 1: "8", 2: "8"},
    "StablehloCustomCallOptions": {0: "str", 2: "str", 4: "4", 5: "1"},
    "StablehloReduceOptions": {0: "8"},
    "StablehloSliceOptions": {0: "8", 1: "8", 2: "8"},
    "StablehloConvolutionOptions": {0: "8", 1: "8", 2: "8", 3: "8", 4: "1", 7: "8", 10: "8", 13: "8", 16: "4"},
    "StablehloScatterOptions": {1: "8", 2: "8", 3: "8"},
    "StablehloCaseOptions": {0: "4"},
}  # fmt: skip
#: The limits of FlatBuffers' own verifier (``flatbuffers::Verifier::Options``).
_MAX_DEPTH, _MAX_TABLES = 64, 1_000_000
#: More elements than any machine has memory for.
_MAX_ELEMENTS = 2**40


class _Broken(ValueError):
    """The rule that the file breaks."""


class _Walker:
    """Follows every offset of one file and checks that it stays inside."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables = 0
        self.schema = tflite_schema()
        self.done: set[tuple[str, int]] = set()

    def number(self, code: str, position: int, what: str) -> int:
        """One little-endian number."""
        if position < 0 or position + struct.calcsize(code) > len(self.data):
            raise _Broken(f"{what} lies at byte {position} of a file of {len(self.data)}")
        return int(struct.unpack_from(f"<{code}", self.data, position)[0])

    def target(self, position: int, what: str) -> int:
        """Where the offset stored at ``position`` leads."""
        step = self.number("I", position, what)
        if step == 0:
            raise _Broken(f"the offset of {what} at byte {position} is 0")
        return position + step

    def table(self, kind: str, position: int, depth: int = 0) -> None:
        """A table, and everything below it."""
        if (kind, position) in self.done:
            return
        self.done.add((kind, position))
        self.tables += 1
        if depth > _MAX_DEPTH or self.tables > _MAX_TABLES:
            raise _Broken(f"more than {_MAX_DEPTH} levels or {_MAX_TABLES} tables")
        slots = self.slots(kind, position)
        for slot, meaning in OFFSETS.get(kind, {}).items():
            if slots.get(slot):
                chosen = self.number("B", position + slots[slot - 1], kind) if slots.get(slot - 1) else 0
                what = f"field {slot} of {kind}"
                self.follow(meaning, chosen, self.target(position + slots[slot], what), what, depth + 1)

    def slots(self, kind: str, position: int) -> dict[int, int]:
        """Distance from the table's start of each of its fields, by slot."""
        vtable = position - self.number("i", position, f"table {kind}")
        size = self.number("H", vtable, f"the vtable of {kind}")
        extent = self.number("H", vtable + 2, f"the vtable of {kind}")
        if size < 4 or size % 2 or vtable + size > len(self.data) or position + extent > len(self.data):
            raise _Broken(f"table {kind} at byte {position} is larger than the file")
        slots = {i: self.number("H", vtable + 4 + 2 * i, kind) for i in range((size - 4) // 2)}
        if any(distance >= extent for distance in slots.values() if distance):
            raise _Broken(f"a field of table {kind} at byte {position} lies outside of it")
        return slots

    def follow(self, meaning: str, chosen: int, start: int, what: str, depth: int) -> None:
        """What one field points at; ``chosen`` says which member of a union it is."""
        if meaning.startswith("union "):
            self.table(self.union(meaning[6:], chosen), start, depth)
        elif meaning == "str" or meaning.isdigit():
            width = 1 if meaning == "str" else int(meaning)
            length = self.number("I", start, what)
            if start + 4 + length * width + (meaning == "str") > len(self.data):
                raise _Broken(f"{what} has {length} entries and reaches past the end of the file")
        elif meaning.startswith("["):
            for place in self.entries(start, what):
                self.table(meaning[1:-1], self.target(place, what), depth)
        else:
            self.table(meaning, start, depth)

    def entries(self, start: int, what: str) -> Iterator[int]:
        """Positions of the entries of a vector of offsets."""
        length = self.number("I", start, what)
        if start + 4 + length * 4 > len(self.data):
            raise _Broken(f"{what} has {length} entries and reaches past the end of the file")
        self.tables += length  # bounds the work on vectors that share their entries
        return iter(range(start + 4, start + 4 + 4 * length, 4))

    def union(self, enum: str, chosen: int) -> str:
        """The table that a union's kind stands for; kinds newer than the schema have no known offsets."""
        members = vars(getattr(self.schema, enum)).items()
        names: dict[int, str] = {value: name for name, value in members if isinstance(value, int)}
        return names.get(chosen, f"{enum} {chosen}")


def verify_tflite(data: bytes, name: str) -> None:
    """Check the structure of a file and every index and size in it.

    Args:
        data: the file's bytes.
        name: of the file, for the message.

    Raises:
        ModelError: naming the first rule that the file breaks.
        MissingToolError: ``ai_edge_litert`` is not installed.
    """
    try:
        walker = _Walker(data)
        if len(data) < 8 or data[4:8] != b"TFL3":
            raise _Broken("an empty file" if not data else f"no TFLite file: it starts with {data[:8]!r}")
        walker.table("Model", walker.target(0, "the root table"))
    except _Broken as error:
        raise _damaged(name, str(error)) from error
    problem = next(_problems(data, _parsed(data, name)), None)
    if problem:
        raise _damaged(name, problem)


def _parsed(data: bytes, name: str) -> TfliteFile:
    return parse_tflite(data, Path(name))


def _damaged(name: str, seen: str) -> ModelError:
    return ModelError(
        f"wanted a sound TFLite model in {name}", seen=seen, next_step="export or download the model again"
    )


def _problems(data: bytes, model: TfliteFile) -> Iterator[str]:
    """Sentences on numbers that contradict each other."""
    counts = Counter(tensor.subgraph for tensor in model.tensors)
    for operator in model.operators:
        for number in (*operator.inputs, *operator.outputs):
            if not -1 <= number < counts[operator.subgraph]:
                yield f"{operator.op} {operator.index} names tensor {number}, and there are {counts[operator.subgraph]}"
    if not model.outputs:
        yield "the graph has no output"
    for tensor in model.tensors:
        yield from _tensor_problems(tensor)
    for tensor in constants(model):
        yield from _constant_problems(tensor, len(data))


def _tensor_problems(tensor: TfliteTensor) -> Iterator[str]:
    label = f"tensor {tensor.index} '{tensor.name}'"
    if any(size < 0 for size in tensor.shape) or math.prod(tensor.shape) > _MAX_ELEMENTS:
        yield f"{label} has the shape {tensor.shape}"
    if len(tensor.signature) != len(tensor.shape):
        yield f"{label} has the shape {tensor.shape} and the shape signature {tensor.signature}"
    if any(not 0 <= scale < math.inf for scale in tensor.scale):
        yield f"{label} has a quantization scale that is not a finite number of at least 0"
    slices = len(tensor.scale)
    if slices > 1 and not (0 <= tensor.axis < len(tensor.shape) and tensor.shape[tensor.axis] == slices):
        yield f"{label} of shape {tensor.shape} has {slices} scales along axis {tensor.axis}"


def _constant_problems(tensor: TfliteTensor, file_size: int) -> Iterator[str]:
    label = f"the constant '{tensor.name}' (tensor {tensor.index})"
    if tensor.data + tensor.size > file_size:
        yield f"{label} has {tensor.size} bytes and reaches past the end of the file"
    bits = item_bits(tensor.dtype)
    if bits is not None and not tensor.sparse and tensor.size != -(-tensor.elements * bits // 8):
        yield f"{label} has {tensor.size} bytes for the shape {tensor.shape} of {tensor.dtype}"
