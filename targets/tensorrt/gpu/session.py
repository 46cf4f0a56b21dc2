"""One engine on the GPU, with its buffers: inputs and outputs in place, ready to run. Travels to the device."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from profiles.errors import EdgewrightError, ToolCrashError
from targets.base import Compiled
from targets.tensorrt.compiler.messages import make_log
from targets.tensorrt.gpu.buffers import Buffers, ends_of
from targets.tensorrt.gpu.cuda import Driver
from targets.tensorrt.gpu.loading import deserialize, refusal
from targets.tensorrt.gpu.memory import Watermark
from targets.tensorrt.gpu.streams import Stream


class Session:
    """An engine, its execution context, one stream, and a buffer on both sides for every input and output.

    The primary context of CUDA must be current while the session lives. Leaving gives everything back in the one order
    that is allowed: execution context, engine, runtime, buffers, stream.

    Args:
        driver: of CUDA.
        library: the module ``tensorrt`` or ``tensorrt_rtx``.
        path: of the engine.
        compiled: inputs and outputs as the bundle has them; shapes and types on the GPU are the engine's own.
        dla_core: that the engine was built for, if any.

    Attributes:
        engine, context: TensorRT's own objects while the session is open. Nobody else may keep them.
        memory: of the GPU, as far as it was looked at.
        engine_bytes: what loading the engine took of it.
        ready_after: seconds from the file to the first possible inference.
    """

    stream: Stream
    buffers: Buffers

    def __init__(
        self, driver: Driver, library: Any, path: Path, compiled: Compiled, *, dla_core: int | None = None
    ) -> None:
        self.driver, self.library = driver, library
        self.memory = Watermark(driver)
        self.engine: Any = None
        self.context: Any = None
        self.engine_bytes = 0
        self.ready_after = 0.0
        self._path, self._compiled, self._dla_core = path, compiled, dla_core
        self._log = make_log(library)
        self._runtime: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Session:
        start = time.perf_counter()
        with contextlib.ExitStack() as stack:
            self.stream = stack.enter_context(Stream(self.driver))
            stack.callback(self._let_go)
            self.memory.look()
            self._load()
            self.engine_bytes = self.memory.look()
            self.buffers = Buffers(self.driver, self.library, ends_of(self.engine), self._compiled, stack)
            self.reopen()
            self.memory.look()
            self._stack = stack.pop_all()
        self.ready_after = time.perf_counter() - start
        return self

    def _load(self) -> None:
        loaded = deserialize(self.library, self._path, self._log, dla_core=self._dla_core)
        self._runtime, self.engine = loaded

    def _let_go(self) -> None:
        """Give back what is TensorRT's: the last reference to each is here."""
        self.context = None
        self.engine = None
        self._runtime = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()  # before the buffers, which the execution context points to
        self._stack.close()

    def reopen(self, settings: Any = None) -> None:
        """An execution context, in place of the present one if there is one.

        Args:
            settings: an ``IRuntimeConfig`` of TensorRT-RTX.

        Raises:
            EdgewrightError: there is too little memory, or the library refuses for another reason.
        """
        self.context = None
        self.context = self.engine.create_execution_context(*(() if settings is None else (settings,)))
        if self.context is None:
            raise self._refused("wanted to make the engine ready to run")
        for name, address in self.buffers.addresses().items():
            if not self.context.set_tensor_address(name, address):
                raise self._refused(f"wanted to tell the engine where '{name}' is")

    def _refused(self, wanted: str) -> EdgewrightError:
        return refusal(wanted, self._log)

    def enqueue(self) -> None:
        """Start one inference on what is in place; nothing is copied and nothing is waited for.

        Raises:
            ToolCrashError: TensorRT refuses.
        """
        if self.context is None:
            raise ToolCrashError("an inference after the engine was released")
        if not self.context.execute_async_v3(self.stream.handle):
            raise self._refused("wanted one inference")

    def infer(self) -> None:
        """One inference on what is in place, to its end."""
        self.enqueue()
        self.stream.wait()

    def place(self) -> None:
        """Copy the inputs that were written to the GPU, to the end."""
        self.buffers.send(self.stream)
        self.stream.wait()

    def transferred(self) -> None:
        """One inference with the copies of its inputs and outputs, to its end."""
        self.buffers.send(self.stream)
        self.enqueue()
        self.buffers.fetch(self.stream)
        self.stream.wait()
