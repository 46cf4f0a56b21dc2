"""The answer to INFO: what firmware says of itself."""

from __future__ import annotations

import dataclasses
import struct

from profiles.errors import VerificationError
from targets.tflite_micro.emulate.protocol import VERSION

_INFO = struct.Struct("<5I8s2I")


@dataclasses.dataclass(frozen=True)
class Info:
    """What firmware says of itself: sizes in bytes, the tick rate in Hz, the digest of its build."""

    tick_hz: int
    arena: int
    stack: int
    layers: int
    digest: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @staticmethod
    def decode(payload: bytes, name: str) -> Info:
        """Read the answer to INFO.

        Raises:
            VerificationError: it is of another version of the protocol, or cut off.
        """
        try:
            version, hz, arena, stack, layers, words, n_inputs, n_outputs = _INFO.unpack_from(payload)
            if version != VERSION:
                raise VerificationError(
                    f"{name} speaks another version of the protocol",
                    seen=str(version),
                    allowed=str(VERSION),
                    next_step="build its firmware again and flash it",
                )
            sizes = struct.unpack_from(f"<{n_inputs + n_outputs}i", payload, _INFO.size)
        except struct.error as error:
            raise VerificationError(f"{name} gives a short answer to INFO", seen=f"{len(payload)} bytes") from error
        digest = "".join(f"{word:08x}" for word in struct.unpack("<2I", words))
        return Info(hz, arena, stack, layers, digest, sizes[:n_inputs], sizes[n_inputs:])
