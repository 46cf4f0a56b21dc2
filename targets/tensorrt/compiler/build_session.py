"""TensorRT's builder and parser, from a model to an engine, with what they log turned into our errors."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from types import TracebackType
from typing import Any

from profiles.errors import EdgewrightError, ModelError, UnsupportedError
from targets.tensorrt.compiler.build_config import make_config, set_timing_cache
from targets.tensorrt.compiler.library import check_version, library, load_library, networks_are_always_typed
from targets.tensorrt.compiler.messages import (
    ERROR,
    WARNING,
    Locate,
    fault_error,
    make_log,
    message_error,
    nowhere,
    parser_faults,
    refused_warning,
    said,
    uncollected,
)
from targets.tensorrt.plan import BuildPlan

#: Warnings without meaning for a user.
_IDLE_WARNINGS = ("Converting conv activation scales to fp32", "Int64 binding", "first input has type")


@dataclasses.dataclass(frozen=True)
class Built:
    """What a build gives.

    Attributes:
        engine: the serialized engine.
        timing_cache: to speed up the next build on this GPU; empty where the library has none.
        notes: what the library warned of, and which switches of the plan it does not have.
    """

    engine: bytes
    timing_cache: bytes = b""
    notes: tuple[str, ...] = ()


class Session:
    """A builder with its log, network and parser, for as long as the context lasts.

    The library's objects are let go when it ends, also when it ends with an error, whose traceback would keep them.
    While it lasts nothing is collected (see :func:`targets.tensorrt.compiler.messages.uncollected`).

    Raises:
        MissingToolError: the library is missing or too old, or wants a driver or a GPU.
    """

    def __init__(self, plan: BuildPlan, wanted: str, locate: Locate = nowhere) -> None:
        known = library(plan.library)
        self.module = load_library(plan.library)
        check_version(plan.library, str(self.module.__version__), plan.least_version or known.least_version)
        self.plan, self.wanted, self.locate = plan, wanted, locate
        self.log: Any = make_log(self.module)
        self.builder: Any = None
        self.network: Any = None
        self.parser: Any = None
        self.config: Any = None
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Session:
        self._ends.enter_context(uncollected())
        self._ends.callback(self._let_go)
        try:
            self._open()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if trace is not None:
            traceback.clear_frames(trace)
        self._ends.close()

    def _let_go(self) -> None:
        """In this order: each is made from the next one."""
        self.parser = None
        self.network = None
        self.config = None
        self.builder = None

    def _open(self) -> None:
        try:
            self.builder = self.module.Builder(self.log)
        except TypeError as error:  # pybind11's word for a factory that returned nothing
            raise self.failed(str(error)) from error
        if not self.builder:
            raise self.failed()
        flags = self.module.NetworkDefinitionCreationFlag
        typed = 0 if networks_are_always_typed(self.module) else 1 << int(flags.STRONGLY_TYPED)
        self.network = self.builder.create_network(typed)
        self.parser = self.module.OnnxParser(self.network, self.log)

    def failed(self, *more: str) -> EdgewrightError:
        """The error for what the log says went wrong."""
        return message_error(self.wanted, [*said(self.log.messages, ERROR), *more], self.locate)

    def read(self, onnx: bytes) -> None:
        """Fill the network.

        Raises:
            UnsupportedError, ModelError, ToolCrashError: as :func:`build_engine`.
        """
        if not self.parser.parse(onnx):
            raise fault_error(self.wanted, parser_faults(self.parser), self.locate)
        if not self.network.num_outputs:
            raise ModelError(self.wanted, seen="bytes that are no ONNX model, or one without outputs")
        refused = refused_warning(self.wanted, said(self.log.messages, WARNING))
        if refused is not None:
            raise refused
        for name, sizes in self.input_shapes().items():
            if min(sizes, default=0) < 0:
                raise UnsupportedError(
                    self.wanted,
                    seen=f"the input '{name}' has the shape {'x'.join(str(s) if s >= 0 else '?' for s in sizes)}",
                    allowed="fixed shapes",
                    next_step="give the shape: edgewright build MODEL --input NAME=1x3x320x320",
                )

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the network; -1 for what is not fixed."""
        inputs = map(self.network.get_input, range(self.network.num_inputs))
        return {str(tensor.name): tuple(int(size) for size in tensor.shape) for tensor in inputs}

    def build(self, timing_cache: bytes) -> Built:
        """The engine of what was read.

        Raises:
            UnsupportedError, ToolCrashError: as :func:`build_engine`.
        """
        self.config, lacking = make_config(self.module, self.builder, self.plan, self.wanted)
        cache = set_timing_cache(self.config, timing_cache) if self.plan.library == "tensorrt" else None
        engine = self.builder.build_serialized_network(self.network, self.config)
        if engine is None:
            raise self.failed()
        kept = bytes(cache.serialize()) if cache is not None else b""
        return Built(bytes(engine), kept, (*lacking, *self.warnings()))

    def warnings(self) -> list[str]:
        """What the library warned of, each thing once."""
        texts = [message.text.strip() for message in self.log.messages if message.severity == WARNING]
        return [text for text in dict.fromkeys(texts) if not any(idle in text for idle in _IDLE_WARNINGS)][:20]
