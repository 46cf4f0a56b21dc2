"""Streams, events and graphs of the CUDA driver. Travels to the device."""

from __future__ import annotations

from collections.abc import Callable

from profiles.errors import UnsupportedError
from targets.tensorrt.gpu.cuda import Driver
from targets.tensorrt.gpu.cuda_errors import CAPTURE_ERRORS
from targets.tensorrt.gpu.cuda_types import CAPTURE_THREAD_LOCAL, STREAM_NON_BLOCKING, Handle, c_float
from targets.tensorrt.gpu.memory import Owned


class Stream(Owned):
    """A queue of work for the GPU."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver, "cuStreamDestroy_v2", driver.get("cuStreamCreate", Handle, STREAM_NON_BLOCKING))
        self._wait = driver.functions["cuStreamSynchronize"]

    def wait(self) -> None:
        """Until all its work is done.

        Raises:
            EdgewrightError: some of the work failed.
        """
        code = self._wait(self.handle)
        if code:
            self._driver.check("cuStreamSynchronize", code)


class Stopwatch:
    """Two events around work on a stream: the time that the GPU says has passed, with a resolution of about 0.5 µs."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._start = Owned(driver, "cuEventDestroy_v2", driver.get("cuEventCreate", Handle, 0))
        try:
            self._end = Owned(driver, "cuEventDestroy_v2", driver.get("cuEventCreate", Handle, 0))
        except BaseException:
            self._start.close()
            raise

    def seconds(self, work: Callable[[], object], stream: Stream) -> float:
        """Enqueue the work between the events, wait for it, and return the GPU's time."""
        self._driver.call("cuEventRecord", self._start.handle, stream.handle)
        work()
        self._driver.call("cuEventRecord", self._end.handle, stream.handle)
        self._driver.call("cuEventSynchronize", self._end.handle)
        milliseconds = self._driver.get("cuEventElapsedTime", c_float, self._start.handle, self._end.handle)
        return float(milliseconds) * 1e-3

    def close(self) -> None:
        """Give both events back."""
        self._start.close()
        self._end.close()


class Graph(Owned):
    """Work that was recorded from a stream once and is launched as a whole.

    Raises:
        UnsupportedError: the work cannot be recorded (it allocates, waits, or uses another stream).
        EdgewrightError: the driver failed otherwise.
    """

    def __init__(self, driver: Driver, stream: Stream, work: Callable[[], object]) -> None:
        graph = _record(driver, stream, work)
        with Owned(driver, "cuGraphDestroy", graph):
            executable = driver.get("cuGraphInstantiateWithFlags", Handle, graph, 0)
        super().__init__(driver, "cuGraphExecDestroy", executable)
        self._launch = driver.functions["cuGraphLaunch"]

    def launch(self, stream: Stream) -> None:
        """Enqueue the graph."""
        code = self._launch(self.handle, stream.handle)
        if code:
            self._driver.check("cuGraphLaunch", code)


def _record(driver: Driver, stream: Stream, work: Callable[[], object]) -> int:
    driver.call("cuStreamBeginCapture_v2", stream.handle, CAPTURE_THREAD_LOCAL)
    graph = Handle()
    try:
        work()
    except BaseException:
        driver.functions["cuStreamEndCapture"](stream.handle, graph)  # the stream must leave capture in any case
        if graph.value:
            driver.release("cuGraphDestroy", graph)
        raise
    code = driver.functions["cuStreamEndCapture"](stream.handle, graph)
    if code in CAPTURE_ERRORS or (not code and not graph.value):
        raise UnsupportedError("the engine's work cannot be recorded as a CUDA graph", seen=f"CUresult {code}")
    driver.check("cuStreamEndCapture", code)
    assert graph.value is not None
    return graph.value
