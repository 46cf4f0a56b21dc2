"""Devices with keys, and what they send."""

import dataclasses
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from toolchain.fleet.agent.identity import Identity
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.report import PAYLOAD_TYPE, Attempt, Enrolment, Report

NOW = 1_800_000_000.0


class Watch:
    """A clock that stands until it is set."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


@dataclasses.dataclass
class Person:
    """A device with a key of its own."""

    name: str
    key: Ed25519PrivateKey = dataclasses.field(default_factory=Ed25519PrivateKey.generate)
    product: str = "eyes"
    channel: str = "stable"
    labels: dict = dataclasses.field(default_factory=dict)

    @property
    def public_key(self):
        return Identity(self.key).public_key

    def sealed(self, document):
        return Identity(self.key).envelope(document)

    def enrolment(self, token, **changes):
        wish = Enrolment(self.name, self.public_key, token, self.product, self.channel, self.labels)
        return self.sealed(dataclasses.replace(wish, **changes))

    def report(self, counter, **changes):
        fields = {"time": NOW, "running": 0, "agent": "test 1", "labels": self.labels, **changes}
        return Report(device=self.name, counter=counter, product=self.product, channel=self.channel, **fields)

    def said(self, counter, **changes):
        return self.sealed(self.report(counter, **changes))


def signed_bytes(key, payload, payload_type=PAYLOAD_TYPE):
    """An envelope around any bytes."""
    envelope = Envelope(payload, payload_type, {})
    envelope.sign(CryptoSigner(key))
    return json.dumps(envelope.to_dict()).encode()


def enrol(store, person, **changes):
    """Put a device into the store, without the check-in."""
    from toolchain.fleet.server.envelopes import public_key

    token = store.make_token(person.product, uses=1, now=NOW, lasts=60)
    wrong = store.enrol(
        person.name, person.product, person.channel, person.labels,
        key=(public_key(person.public_key).keyid, person.public_key), token=token, now=NOW, **changes,
    )  # fmt: skip
    assert wrong == "", f"the device {person.name} could not be enrolled: {wrong}"
    return person


def take_up(store, person, counter, now=NOW, **changes):
    """A report that the store takes up; whether it did."""
    return store.take_up(store.identity(person.name), person.report(counter, **changes), now)


def attempt(release, outcome="committed", stage="idle", reason="", sequence=1, **more):
    return Attempt(release=release, sequence=sequence, stage=stage, outcome=outcome, reason=reason, **more)


def parsed(body):
    return json.loads(body)


__all__ = ["NOW", "Person", "Watch", "attempt", "enrol", "parsed", "signed_bytes", "strict", "take_up"]
