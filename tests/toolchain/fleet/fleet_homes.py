"""Fleets, bundles and devices for tests: small, made on the spot."""

import pathlib
from urllib.parse import unquote

import numpy as np
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from targets.artifact import Artifact, write_manifest
from targets.base import Compiled, TensorSpec
from targets.golden import Golden, save_golden
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan, Wave, plan_path
from toolchain.fleet.documents.release import Blob, Depends, File, Packed, Release, release_path
from toolchain.fleet.home import create_home
from toolchain.fleet.trust.repository import Repository

PASSPHRASE = "correct horse battery staple"
DEVICE = {"name": "local-cpu", "title": "This machine", "reach": "local", "cpu": {"arch": "x86_64", "features": []}}


def passphrase(name):
    return PASSPHRASE


def make_fleet(folder, **settings):
    """A new home, and its repository with all keys."""
    home = create_home(folder, passphrase=passphrase, **settings)
    return Repository(home, passphrase)


def a_release(version=1, product="cam", **changes):
    """A release whose files are nowhere."""
    packed = Packed("null", "fp32", "b" * 64, Depends("local-cpu"), (File("bundle/x", Blob("a" * 64, 3)),))
    fixed = {"title": "t", "created": "2026-01-01T00:00:00Z", "bundles": (packed,)}
    return Release(**{"product": product, "version": version, **fixed, **changes})


def a_plan(sequence=1, release=1, product="cam", channel="stable", **changes):
    """A plan for everybody."""
    fixed = {"state": "running", "salt": "s", "waves": (Wave("all", 100.0),), "open_waves": 1}
    return Plan(product, channel, sequence, release, **{**fixed, **changes})


def make_bundle(folder, *, target="null", device=DEVICE, files=None, tools=None, precision="fp32"):
    """A whole bundle: ``files`` is name to bytes."""
    files = files or {"model.bin": np.random.default_rng(1).bytes(20_000)}
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    arrays = {"x": np.zeros((1, 1, 4), np.float32)}
    save_golden(folder / "golden.npz", Golden(arrays, {"y": arrays["x"]}, {"y": arrays["x"]}))
    compiled = Compiled(tuple(files)[:1], (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 4)),))
    write_manifest(Artifact(folder, device, target, precision, compiled, tools=tools or {}))
    return folder


class _Files(FetcherInterface):
    """What a web server would give for the files of a repository."""

    def __init__(self, repository):
        self._repository = pathlib.Path(repository)

    def _fetch(self, url):
        try:
            yield (self._repository / unquote(url.removeprefix("http://fleet/"))).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError(f"no {url}", 404) from None


class Client:
    """A device's view, through python-tuf's own client.

    Args:
        folder: where it keeps its metadata.
        repository: the folder that is served.
        root: what it trusts at first.
    """

    def __init__(self, folder, repository, root):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._repository, self._root = folder, repository, root

    def updater(self):
        """A fresh look."""
        made = Updater(
            str(self._folder),
            "http://fleet/metadata/",
            str(self._folder),
            "http://fleet/targets/",
            fetcher=_Files(self._repository),
            bootstrap=self._root,
        )
        made.refresh()
        return made

    def get(self, path):
        """A target's bytes, verified; None if nobody signed one of that name."""
        updater = self.updater()
        info = updater.get_targetinfo(path)
        return None if info is None else pathlib.Path(updater.download_target(info)).read_bytes()

    def release(self, version=1, product="cam"):
        data = self.get(release_path(product, version))
        return None if data is None else strict.from_bytes(Release, data)

    def plan(self, product="cam", channel="stable"):
        data = self.get(plan_path(product, channel))
        return None if data is None else strict.from_bytes(Plan, data)


def client_of(repository, folder):
    """A new device of a fleet."""
    return Client(folder, repository.home.repository, repository.home.root_metadata())
