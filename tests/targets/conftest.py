"""Bundles for the device of the tests (``tests/conftest.py`` has it), and a cable to it that can be cut."""

import contextlib
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import EdgewrightError
from targets import remote
from targets.artifact import Artifact, write_manifest
from targets.base import Compiled, TensorSpec
from targets.golden import Golden, save_golden, tolerances
from targets.null.runner import null_outputs


class Cable:
    """A TCP connection through our hands: it can be cut, or go silent."""

    def __init__(self, port: int) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        self.far = port
        self.ends: list[socket.socket] = []
        self.flowing = threading.Event()
        self.flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            near, _ = self.server.accept()
        except OSError:  # closed before anybody came
            return
        far = socket.create_connection(("127.0.0.1", self.far))
        self.ends = [near, far]
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # cut
            pass

    def go_silent(self) -> None:
        """Nothing passes any more, and neither side is told."""
        self.flowing.clear()

    def cut(self) -> None:
        """Both sides see the end of the connection."""
        for end in (*self.ends, self.server):
            with contextlib.suppress(OSError):  # not connected
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.flowing.set()


@pytest.fixture
def cable(device):
    """A cable between us and the device."""
    made = Cable(device.port)
    yield made
    made.cut()


def null_bundle(folder: Path, *, model_bytes: int = 1000, width: int = 3, target: str = "null") -> Path:
    """A bundle for the null target, with golden samples, and a model file of random bytes."""
    random = np.random.default_rng(7)
    folder.mkdir()
    (folder / "model.bin").write_bytes(random.bytes(model_bytes))
    inputs, outputs = (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, width)),)
    golden = {"x": random.normal(size=(2, 1, 4)).astype(np.float32)}
    results = [null_outputs({"x": sample}, outputs)["y"] for sample in golden["x"]]
    expected = {"y": np.stack(results)}
    save_golden(folder / "golden.npz", Golden(golden, expected, expected))
    write_manifest(
        Artifact(
            folder=folder,
            device={"name": "some-board", "title": "Some board"},
            target=target,
            precision="fp32",
            compiled=Compiled(("model.bin",), inputs, outputs),
            golden={"tolerance": tolerances(expected, "fp32")},
        )
    )
    return folder


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A small bundle that needs no engine."""
    return null_bundle(tmp_path / "bundle")


@pytest.fixture(scope="session")
def make_bundle():
    """Makes bundles of other sizes, see :func:`null_bundle`."""
    return null_bundle


@pytest.fixture
def ask(device, bundle, numpy_python):
    """One conversation with the device; afterwards it must be clean, whatever happened."""

    def ask(request, on_event=lambda event: None, *, folder=bundle, port=None, **more):
        settings = {"python": str(numpy_python), "options": device.options, "timeout": 90.0, **more}
        return remote.converse(device.url(port), folder, request, on_event, **settings)

    yield ask
    device.assert_clean()


@pytest.fixture
def refused(ask):
    """A conversation that must fail: gives the error, which must be of exactly the wanted kind."""

    def refused(kind, *arguments, **settings):
        with pytest.raises(EdgewrightError) as caught:
            ask(*arguments, **settings)
        assert type(caught.value) is kind, f"wanted {kind.__name__}, got: {caught.value!r}"
        assert caught.value.seen, "an error says what was seen"
        return caught.value

    return refused


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(sys.modules["targets.artifact"].__file__).parents[1]
