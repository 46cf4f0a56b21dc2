"""The structure of a TFLite flatbuffer, checked before anything follows an offset in it.

The Python classes generated from the schema follow offsets as they come. This walk looks first, as the
C++ ``flatbuffers::Verifier`` does: every table, vtable, vector and string that the reader will visit lies
within the file, and the work is bounded, so that a file cannot make a reader loop or allocate without end.
Layout of tables and vtables: FlatBuffers, "Internals" (flatbuffers.dev/internals).
"""

from __future__ import annotations

import struct

#: Tables a file may have. A network of a thousand operators has about ten thousand.
MAX_TABLES = 60_000


class Malformed(ValueError):
    """A file that contradicts itself; the message says where, and what was seen."""


#: Per table of schema.fbs, by slot: a vector of N-byte items, a string, a table, or a vector of tables.
#: Slots are fixed for good by the format. Scalars, and fields that nothing here reads, are not listed.
_TABLES: dict[str, dict[int, int | str | tuple[str] | list[str]]] = {
    "Model": {1: ["OperatorCode"], 2: ["SubGraph"], 4: ["Buffer"]},
    "OperatorCode": {1: "string"},
    "SubGraph": {0: ["Tensor"], 1: 4, 2: 4, 3: ["Operator"], 4: "string"},
    "Tensor": {0: 4, 3: "string", 4: ("Quantization",), 6: ("Other",), 7: 4},
    "Quantization": {2: 4, 3: 8},
    "Operator": {1: 4, 2: 4, 4: ("Other",), 7: 1, 8: 4},
    "Buffer": {0: 1},
    "Other": {},
}


def verify(data: bytes) -> None:
    """Check everything that :mod:`~targets.tflite_micro.graph.read` will visit.

    Raises:
        Malformed: an offset, a length or a count that the file cannot have.
    """
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise Malformed(f"the file identifier is {data[4:8]!r}, not b'TFL3'")
    if len(data) >= 1 << 31:
        raise Malformed("the file has 2 GiB or more")
    Walk(data).table(struct.unpack_from("<I", data)[0], "Model")


class Walk:
    """A walk with a limit on the number of tables and on the bytes of all vectors together.

    Only a file in which many tables share one vector has more vector bytes than bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tables = min(MAX_TABLES, len(data) // 4)
        self.bytes = 4 * len(data) + 65536

    def table(self, at: int, kind: str) -> None:
        """Check one table and all below it."""
        self.tables -= 1
        if self.tables < 0:
            raise Malformed("the file has more tables than it has room for")
        vtable = at - self._number("<i", at, kind)
        size, extent = self._number("<H", vtable, kind), self._number("<H", vtable + 2, kind)
        if size < 4 or size % 2 or extent < 4 or max(vtable + size, at + extent) > len(self.data):
            raise Malformed(f"the {kind} table at byte {at} does not fit into the file")
        fields = struct.unpack_from(f"<{size // 2 - 2}H", self.data, vtable + 4)
        for slot, field in enumerate(fields):
            if field and not 4 <= field < extent:
                raise Malformed(f"field {slot} of the {kind} table at byte {at} is outside of the table")
            if field and slot in _TABLES[kind]:
                self._field(at + field, _TABLES[kind][slot], kind)

    def _field(self, at: int, what: int | str | tuple[str] | list[str], kind: str) -> None:
        at += self._number("<I", at, kind)
        if isinstance(what, tuple):
            self.table(at, what[0])
        elif isinstance(what, list):
            count = self._vector(at, 4, what[0])
            for place in range(at + 4, at + 4 + 4 * count, 4):
                self.table(place + self._number("<I", place, what[0]), what[0])
        else:
            self._vector(at, what if isinstance(what, int) else 1, kind)

    def _vector(self, at: int, item: int, kind: str) -> int:
        """Number of items of a vector that fits."""
        count = self._number("<I", at, kind)
        self.bytes -= item * count
        if at + 4 + item * count > len(self.data):
            raise Malformed(f"a vector of {count} items in table {kind} does not fit into the file")
        if self.bytes < 0:
            raise Malformed("the file has longer vectors than it has room for")
        return count

    def _number(self, kind_of: str, at: int, kind: str) -> int:
        if not 0 <= at <= len(self.data) - struct.calcsize(kind_of):
            raise Malformed(f"an offset of table {kind} leads to byte {at} of {len(self.data)}")
        return int(struct.unpack_from(kind_of, self.data, at)[0])
