"""Shorter ways to a file for devices that have an older one: zstd frames with the older file as their dictionary.

The format is that of ``zstd --patch-from`` (RFC 8878, section 5; a raw content dictionary). Each is tried out with the
agent's own code before it is offered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from toolchain.fleet.documents.release import Blob, Delta, File, Packed, Release
from toolchain.fleet.publish.blobs import Blobs

#: Releases before this one that deltas are made from, counted from the newest.
RELEASES = 3
#: Bytes of files: below, a patch is not worth its request; above, making it takes more than 2 GB of memory.
LEAST, MOST = 4 << 10, 128 << 20
#: A patch has this share of the file's bytes, at most.
SHARE = 0.8
#: Level of zstd, of 22; higher ones take many times as long and hardly find more in files that are alike.
_LEVEL = 12
#: Binary logarithm of the entries (4 bytes) of zstd's table; it makes two of them.
_LARGEST_TABLE = 27


def make_patch(old: bytes, new: bytes) -> bytes:
    """The patch from one content to another; the same contents give the same patch with the same zstd."""
    import zstandard as zstd

    window = max(zstd.WINDOWLOG_MIN, (len(old) + len(new)).bit_length())
    # A table with a place for every byte of the older file: by itself zstd forgets most of a large dictionary, and its
    # long distance matcher does not look into dictionaries.
    table = max(zstd.HASHLOG_MIN, min(window - 1, _LARGEST_TABLE))
    settings = zstd.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=window, hash_log=table, chain_log=table, write_dict_id=False
    )
    dictionary = zstd.ZstdCompressionDict(old, dict_type=zstd.DICT_TYPE_RAWCONTENT)
    patch: bytes = zstd.ZstdCompressor(dict_data=dictionary, compression_params=settings).compress(new)
    return patch


class Deltas:
    """Makes deltas for one release.

    Args:
        blobs: where files are, and patches go.
        older: releases that devices may have, the newest first.
    """

    def __init__(self, blobs: Blobs, older: Iterable[Release]) -> None:
        self._blobs = blobs
        self._older = tuple(older)
        self._made: dict[tuple[str, str], Blob | None] = {}

    def of(self, bundle: Packed, file: File) -> tuple[Delta, ...]:
        """The deltas of a file, from what the same bundle had under the same path in older releases.

        Raises:
            OutputError: the disk refuses.
        """
        bases: dict[str, Blob] = {}
        for release in self._older:
            for other in release.bundles:
                if (other.target, other.depends.device) == (bundle.target, bundle.depends.device):
                    bases |= {each.content.sha256: each.content for each in other.files if each.path == file.path}
        found = ((sha256, self._patch(base, file.content)) for sha256, base in bases.items())
        return tuple(Delta(sha256, patch) for sha256, patch in found if patch is not None)

    def _patch(self, base: Blob, content: Blob) -> Blob | None:
        key = (base.sha256, content.sha256)
        if key not in self._made:
            self._made[key] = self._new(base, content) if self._worth_trying(base, content) else None
        return self._made[key]

    def _worth_trying(self, base: Blob, content: Blob) -> bool:
        fits = all(LEAST <= blob.size <= MOST for blob in (base, content))
        return fits and base != content and self._blobs.has(base)

    def _new(self, base: Blob, content: Blob) -> Blob | None:
        try:
            old = self._blobs.path(base).read_bytes()
        except FileNotFoundError:  # an old release whose files are being removed
            return None
        new = self._blobs.path(content).read_bytes()
        patch = make_patch(old, new)
        if len(patch) > SHARE * len(new):
            return None
        try_out(old, patch, content)
        return self._blobs.add(patch)


def try_out(old: bytes, patch: bytes, content: Blob) -> None:
    """Apply a patch as devices do.

    Raises:
        VerificationError: it does not give the content.
    """
    from toolchain.fleet.agent.blobs import patched

    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        path = Path(scratch) / "patch"
        path.write_bytes(patch)
        for _ in patched(old, path, content):
            pass
