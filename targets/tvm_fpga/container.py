"""The file of a compiled region: what it was compiled for, its memory image, a checksum; checked whole before use.

Layout: ``EWFS``, version (u16), zeros (u16), length of the header (u32), the header (UTF-8 JSON, keys sorted), the
image, SHA-256 of everything before. Numbers are little-endian.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ConfigError, ModelError
from targets.tvm_fpga.bounds import check_bounds
from targets.tvm_fpga.compiler.ir import Tensor
from targets.tvm_fpga.compiler.program import Port, Program
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES, Geometry
from targets.tvm_fpga.isa import Instruction, decode

MAGIC, VERSION = b"EWFS", 1
_PREFIX = struct.Struct("<4sHHI")
_DIGEST = 32
_AGAIN = "build the bundle again"


def save(program: Program, path: Path) -> None:
    """Write a program; the same program gives the same bytes."""
    path.write_bytes(encode(program))


def encode(program: Program) -> bytes:
    """The file's bytes."""
    header = {
        "geometry": program.geometry.as_dict(),
        "instructions": len(program.instructions),
        "image": len(program.image),
        "program_at": program.program_at,
        "inputs": [dataclasses.asdict(port) for port in program.inputs],
        "outputs": [dataclasses.asdict(port) for port in program.outputs],
        "layers": list(program.layers),
        "notes": [each.note for each in program.instructions],
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    body = _PREFIX.pack(MAGIC, VERSION, 0, len(text)) + text + program.image.tobytes()
    return body + hashlib.sha256(body).digest()


def load(path: Path, geometry: Geometry | None = None) -> Program:
    """Read and check a file; with ``geometry``, it must have been compiled for that.

    Raises:
        ModelError: not such a file, another version, truncated, changed, for another array, or with an instruction or
            address that the array does not have.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"wanted the command stream {path}", seen=error.strerror or str(error), next_step=_AGAIN
        ) from error
    return parse(data, geometry)


def parse(data: bytes, geometry: Geometry | None = None) -> Program:
    """The same of bytes."""
    header, image = _sections(data)
    try:
        program = _program(header, image)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ModelError(
            "a command stream's header", seen=f"{type(error).__name__}: {error}", next_step=_AGAIN
        ) from error
    if geometry is not None and geometry != program.geometry:
        raise ModelError(
            "a command stream for this array",
            seen=f"one for {_words(program.geometry)}",
            allowed=_words(geometry),
            next_step="build for this device, or choose the device that the bundle was built for",
        )
    check_bounds(program)
    return program


def _sections(data: bytes) -> tuple[Any, bytes]:
    """Header and image, if magic, version, lengths and checksum are right."""
    if len(data) < _PREFIX.size + _DIGEST:
        raise ModelError("a command stream", seen=f"{len(data)} B", allowed="a whole file", next_step=_AGAIN)
    magic, version, _, length = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise ModelError("a command stream", seen=f"magic {magic!r}", allowed=repr(MAGIC), next_step=_AGAIN)
    if version != VERSION:
        raise ModelError("a command stream's version", seen=str(version), allowed=str(VERSION), next_step=_AGAIN)
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise ModelError("a whole command stream", seen="another checksum than the file's own", next_step=_AGAIN)
    text = body[_PREFIX.size : _PREFIX.size + length]
    try:
        return json.loads(text), body[_PREFIX.size + length :]
    except ValueError as error:
        raise ModelError("a command stream's header", seen=str(error), next_step=_AGAIN) from error


def _program(header: dict[str, Any], image: bytes) -> Program:
    """From plain data, types checked as far as they are used."""
    geometry = Geometry(**header["geometry"])
    if len(image) != header["image"]:
        raise ValueError(f"an image of {len(image)} B, the header says {header['image']} B")
    start, count = int(header["program_at"]), int(header["instructions"])
    if start < 0 or count < 1 or start + count * INSTRUCTION_BYTES > len(image):
        raise ValueError(f"{count} instructions at {start} of {len(image)} B")
    notes = [str(note) for note in header["notes"]]
    stream = [image[start + n * INSTRUCTION_BYTES :][:INSTRUCTION_BYTES] for n in range(count)]
    return Program(
        geometry,
        tuple(_noted(decode(word), note) for word, note in zip(stream, notes, strict=True)),
        np.frombuffer(image, np.int8),
        start,
        tuple(_port(port) for port in header["inputs"]),
        tuple(_port(port) for port in header["outputs"]),
        tuple(str(name) for name in header["layers"]),
    )


def _noted(instruction: Instruction, note: str) -> Instruction:
    return dataclasses.replace(instruction, note=note)


def _port(data: dict[str, Any]) -> Port:
    return Port(**{**data, "tensor": Tensor(**data["tensor"])})


def _words(geometry: Geometry) -> str:
    return ", ".join(f"{name} {value}" for name, value in geometry.as_dict().items())
