"""DSSE envelopes (https://github.com/secure-systems-lab/dsse): open one, and check who signed it."""

from __future__ import annotations

import functools
import json
from typing import Any

from profiles.errors import VerificationError
from toolchain.fleet.documents.report import PAYLOAD_TYPE

#: Characters of a public key, at most; Ed25519 needs 113.
_MOST_KEY = 1000


def opened(body: bytes) -> Any:
    """A ``securesystemslib.dsse.Envelope`` of our payload type with one signature, not verified yet.

    Raises:
        VerificationError: it is no such thing.
    """
    from securesystemslib.dsse import Envelope

    try:
        data = json.loads(body.decode("utf-8"))
        if not isinstance(data, dict) or set(data) != {"payload", "payloadType", "signatures"}:
            raise ValueError("not exactly payload, payloadType and signatures")
        if data["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("another payloadType")
        if not isinstance(data["payload"], str) or not isinstance(data["signatures"], list):
            raise ValueError("another type of payload or signatures")
        if len(data["signatures"]) != 1 or not _signature(data["signatures"][0]):
            raise ValueError("not exactly one signature with a keyid and a sig")
        return Envelope.from_dict(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError(
            "wanted a DSSE envelope", seen=f"{type(error).__name__}: {str(error)[:120]}", allowed=PAYLOAD_TYPE
        ) from None


def _signature(value: object) -> bool:
    fits = isinstance(value, dict) and set(value) == {"keyid", "sig"}
    return fits and all(isinstance(each, str) and len(each) <= 200 for each in value.values())  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=20_000)
def public_key(pem: str) -> Any:
    """A ``securesystemslib`` key.

    Raises:
        VerificationError: it is no Ed25519 key in PEM.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer._key import SSlibKey

    try:
        if len(pem) > _MOST_KEY:
            raise ValueError("too long")
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise VerificationError("wanted a public key", seen="none", allowed="Ed25519 as PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise VerificationError("wanted a public key", seen=type(key).__name__.lstrip("_"), allowed="Ed25519 as PEM")
    return SSlibKey.from_crypto(key)


def verified(envelope: Any, pem: str) -> bool:
    """Whether this key signed it."""
    from securesystemslib.exceptions import VerificationError as NotVerified

    try:
        envelope.verify([public_key(pem)], 1)
    except NotVerified:
        return False
    return True
