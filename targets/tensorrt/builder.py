"""Carries out a build plan with whichever TensorRT is installed. The graph is taken as it is, with its batch size.

Networks are strongly typed: up to TensorRT 10 by a flag, which 11 ignores and may drop.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from profiles.errors import EdgewrightError, ModelError, UnsupportedError
from targets.tensorrt.build_config import make_config, set_timing_cache
from targets.tensorrt.library import check_version, library, load_library, networks_are_always_typed
from targets.tensorrt.messages import (
    ERROR,
    WARNING,
    Fault,
    Locate,
    fault_error,
    make_log,
    message_error,
    nowhere,
    parser_faults,
    refused_warning,
    said,
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
    """One builder with its log.

    Raises:
        MissingToolError: the library is missing or too old, or wants a driver or a GPU.
    """

    def __init__(self, plan: BuildPlan, wanted: str, locate: Locate = nowhere) -> None:
        known = library(plan.library)
        self.module = load_library(plan.library)
        check_version(plan.library, str(self.module.__version__), plan.least_version or known.least_version)
        self.wanted, self.locate = wanted, locate
        self.log = make_log(self.module)
        try:
            self.builder = self.module.Builder(self.log)
        except TypeError as error:  # pybind11's word for a factory that returned nothing
            raise self.failed(str(error)) from error
        if not self.builder:
            raise self.failed()

    def failed(self, *more: str) -> EdgewrightError:
        """The error for what the log says went wrong."""
        return message_error(self.wanted, [*said(self.log.messages, ERROR), *more], self.locate)

    def read(self, onnx: bytes) -> tuple[Any, Any]:
        """The network, and the parser, which owns its weights.

        Raises:
            UnsupportedError, ModelError, ToolCrashError: as :func:`build_engine`.
        """
        network, parser = self.open_parser()
        if not parser.parse(onnx):
            raise fault_error(self.wanted, parser_faults(parser), self.locate)
        if not network.num_outputs:
            raise ModelError(self.wanted, seen="bytes that are no ONNX model, or one without outputs")
        refused = refused_warning(self.wanted, said(self.log.messages, WARNING))
        if refused is not None:
            raise refused
        self._require_fixed_shapes(network)
        return network, parser

    def open_parser(self) -> tuple[Any, Any]:
        """An empty network, and the parser that fills it."""
        flags = self.module.NetworkDefinitionCreationFlag
        typed = 0 if networks_are_always_typed(self.module) else 1 << int(flags.STRONGLY_TYPED)
        network = self.builder.create_network(typed)
        return network, self.module.OnnxParser(network, self.log)

    def _require_fixed_shapes(self, network: Any) -> None:
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            sizes = [int(size) for size in tensor.shape]
            if min(sizes, default=0) < 0:
                shape = "x".join(str(size) if size >= 0 else "?" for size in sizes)
                raise UnsupportedError(
                    self.wanted,
                    seen=f"the input '{tensor.name}' has the shape {shape}",
                    allowed="fixed shapes",
                    next_step="give the shape: edgewright build MODEL --input NAME=1x3x320x320",
                )

    def warnings(self) -> list[str]:
        """What the library warned of, each thing once."""
        texts = [message.text.strip() for message in self.log.messages if message.severity == WARNING]
        return [text for text in dict.fromkeys(texts) if not any(idle in text for idle in _IDLE_WARNINGS)][:20]


def build_engine(
    onnx: bytes, plan: BuildPlan, batch: int, *, timing_cache: bytes = b"", locate: Locate = nowhere
) -> Built:
    """Compile one engine.

    Args:
        onnx: the model, with fixed shapes and with ``batch`` in its batch axis; weights inside.
        plan: what to build.
        batch: for messages alone.
        timing_cache: of an earlier build with the same GPU and version; a useless one is ignored.
        locate: says where in the user's program a node came from.

    Raises:
        MissingToolError: the library, its version, a driver or a GPU.
        UnsupportedError: an operator, number format or compute capability, or too little memory.
        ModelError: no sound ONNX model, or one whose types do not fit together.
        ToolCrashError: the compiler failed for a reason of its own.
    """
    wanted = f"wanted a {library(plan.library).title} engine ({plan.precision}, batch {batch})"
    session = Session(plan, wanted, locate)
    network, _parser = session.read(onnx)
    config, lacking = make_config(session.module, session.builder, plan, wanted)
    cache = set_timing_cache(config, timing_cache) if plan.library == "tensorrt" else None
    engine = session.builder.build_serialized_network(network, config)
    if engine is None:
        raise session.failed()
    kept = bytes(cache.serialize()) if cache is not None else b""
    return Built(bytes(engine), kept, (*lacking, *session.warnings()))


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the parser says of a model before anything is compiled.

    Attributes:
        version: of the library.
        faults: everything that it refuses.
        warnings: what it warned of.
    """

    version: str
    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]


def ask_parser(onnx: bytes, plan: BuildPlan) -> Answer:
    """Which nodes the parser takes, all of them and not only the first that it refuses.

    Raises:
        MissingToolError: as :func:`build_engine`.
    """
    session = Session(plan, f"wanted the model in the terms of {library(plan.library).title}")
    _network, parser = session.open_parser()
    parser.supports_model_v2(onnx)
    version = str(session.module.__version__)
    return Answer(version, tuple(parser_faults(parser)), tuple(said(session.log.messages, WARNING)))
