"""A repository with releases that share files, and time that goes by."""

import os
import time

import numpy as np

from tests.toolchain.fleet.fleet_homes import a_plan, make_bundle
from tests.toolchain.fleet.fleet_people import NOW
from toolchain.fleet.publish import publish
from toolchain.fleet.publish.blobs import Blobs
from toolchain.fleet.publish.pruning import blobs_of
from toolchain.fleet.rollout.policy import Policy

DAY = 86400.0


def put(fleet, folder, number, *, product="cam"):
    """A release with a file of its own, one that all have, and a delta."""
    random = np.random.default_rng(3)
    common, model = random.bytes(30_000), random.bytes(50_000)
    model = model[: -len(b"%d" % number)] + b"%d" % number
    bundle = make_bundle(folder / f"{product}{number}", files={"model.bin": model, "common.bin": common})
    return publish(fleet.home, fleet, [bundle], product=product)


def go(fleet, release, sequence, channel="stable", **more):
    fleet.set_plan(a_plan(sequence, release, channel=channel, **more))


def keep_plans(store, fleet):
    """The rollouts that led to the plans of a repository."""
    for plan in fleet.plans():
        assert store.begin(Policy(), plan, "", "me", NOW)


def a_day_later(fleet, days=1.1):
    """Every file of the repository is a day older than it was."""
    for path in fleet.home.repository.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time(), path.stat().st_mtime - days * DAY))


def has(fleet, version, product="cam"):
    """Whether every file and every patch of a release is there and whole."""
    blobs = Blobs(fleet.home.repository)
    return all(blobs.has(blob) for blob in blobs_of(fleet.release(product, version)))


def fetch(device, fleet, channel="stable"):
    """What a device does: its plan, the release, every file; the version that it got."""
    plan = device.plan(channel=channel)
    release = device.release(plan.release)
    for blob in blobs_of(release):
        Blobs(fleet.home.repository).check(blob)
    return release.version


def files(fleet):
    return {path.name for path in (fleet.home.repository / "blobs").rglob("*") if path.is_file()}
