"""From bundles to a signed release: packing, what each bundle needs of a device, deltas."""

from toolchain.fleet.publish.publishing import publish, repeat

__all__ = ["publish", "repeat"]
