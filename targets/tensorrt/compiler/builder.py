"""Carries out a build plan with whichever TensorRT is installed. The graph is taken as it is, with its batch size.

Networks are strongly typed: up to TensorRT 10 by a flag, which 11 ignores and may drop.
"""

from __future__ import annotations

import dataclasses

from targets.tensorrt.compiler.build_session import Built, Session
from targets.tensorrt.compiler.library import library
from targets.tensorrt.compiler.messages import WARNING, Fault, Locate, nowhere, parser_faults, said
from targets.tensorrt.plan import BuildPlan

__all__ = ["Answer", "Built", "ask_parser", "build_engine"]


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
    with Session(plan, wanted, locate) as session:
        session.read(onnx)
        return session.build(timing_cache)


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
    with Session(plan, f"wanted the model in the terms of {library(plan.library).title}") as session:
        session.parser.supports_model_v2(onnx)
        faults, warnings = parser_faults(session.parser), said(session.log.messages, WARNING)
        return Answer(str(session.module.__version__), tuple(faults), tuple(warnings))
