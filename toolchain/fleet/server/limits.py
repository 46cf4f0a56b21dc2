"""How much the check-in takes: bytes, and requests in a time. Token buckets in memory, a bounded number of them."""

from __future__ import annotations

import dataclasses
import ipaddress
import threading
from collections import OrderedDict

from toolchain.fleet.documents.report import MOST_REPORT


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is allowed; rates are requests in a second, bursts are requests.

    Attributes:
        body: bytes of a request.
        address_rate, address_burst: of one address; a whole site may stand behind it.
        device_rate, device_burst: of one device, counted after its signature was found good: nobody else can use it up.
        enrol_cost: so many requests is an enrolment worth.
        names: how many addresses, and how many devices, are remembered.
    """

    body: int = MOST_REPORT
    address_rate: float = 50.0
    address_burst: float = 500.0
    device_rate: float = 0.5
    device_burst: float = 20.0
    enrol_cost: float = 10.0
    names: int = 100_000


class Buckets:
    """Token buckets by name. The one that was not asked for the longest is forgotten when there are too many.

    Args:
        rate: tokens that come back in a second.
        burst: tokens of a full bucket.
        most: number of names.
    """

    def __init__(self, rate: float, burst: float, most: int) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, name: str, now: float, cost: float = 1.0) -> bool:
        """Whether there were enough tokens; then they are gone. A clock that goes back gives none."""
        with self._guard:
            level, before = self._levels.pop(name, (self._burst, now))
            level = min(self._burst, level + max(0.0, now - before) * self._rate)
            enough = level >= cost
            self._levels[name] = (level - cost if enough else level, now)
            if len(self._levels) > self._most:
                self._levels.popitem(last=False)
        return enough


def site(address: str) -> str:
    """Who an address counts for: itself, or its /64 for IPv6, which one host has all of."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
