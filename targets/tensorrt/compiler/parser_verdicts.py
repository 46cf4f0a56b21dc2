"""What the parser of a plan's library says of a model, or the next best source where it is not installed."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from profiles.errors import MissingToolError
from targets.onnx_tools import OnnxNode
from targets.tensorrt.compiler.builder import Answer
from targets.tensorrt.compiler.compile_worker import ask_apart
from targets.tensorrt.compiler.library import LIBRARIES
from targets.tensorrt.compiler.messages import Fault, fault_reason
from targets.tensorrt.compiler.operators import SOURCE, documented
from targets.tensorrt.compiler.origin import Origins
from targets.tensorrt.plan import BuildPlan


@dataclasses.dataclass(frozen=True)
class ParserVerdicts:
    """By name of the node, as :func:`targets.onnx_tools.list_nodes` names it.

    Attributes:
        refused: sentences on what cannot be parsed; by position in the graph.
        remarks: sentences on what only the device's own parser can tell.
        problems: what stops the model as a whole.
        notes: who was asked.
        listed_only: nobody could be asked; the documented list decides.
    """

    refused: Mapping[str, str]
    remarks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    listed_only: bool = False

    def why_not(self, node: OnnxNode) -> str:
        """Why a node is unsupported; empty when it is not."""
        if self.listed_only and not documented(node.op, node.domain):
            return "TensorRT is documented not to have it"
        return self.refused.get(node.name, "")


def ask(path: Path, plan: BuildPlan) -> ParserVerdicts:
    """Ask whoever is installed.

    Raises:
        MissingToolError: TensorRT-RTX is wanted, because it compiles here, and is missing or too old.
    """
    asked = plan.library
    if plan.library == "tensorrt" and importlib.util.find_spec("tensorrt") is None:
        asked = "tensorrt_rtx"
    if asked != plan.library and importlib.util.find_spec(asked) is None:
        return ParserVerdicts({}, notes=(f"TensorRT is not installed here: {SOURCE} decided",), listed_only=True)
    deputy = dataclasses.replace(plan, library=asked, least_version="", dla_core=None)
    try:
        answer = ask_apart(path, deputy)
    except MissingToolError as error:
        if asked == plan.library == "tensorrt_rtx":
            raise
        note = f"TensorRT cannot be asked here ({error.seen}): {SOURCE} decided"
        return ParserVerdicts({}, notes=(note,), listed_only=True)
    return _judge(answer, path, asked, deputy=asked != plan.library)


def _judge(answer: Answer, path: Path, asked: str, *, deputy: bool) -> ParserVerdicts:
    refused: dict[str, str] = {}
    remarks: dict[str, str] = {}
    problems: list[str] = []
    locate = Origins(path)
    for fault in answer.faults:
        name, why = fault.node or f"{fault.op}_{fault.index}", fault_reason(fault)
        origin = locate(fault.node) if fault.node else ""
        sentence = f"{why} ({', '.join(filter(None, (origin, fault.source)))})"
        if not fault.op:
            problems.append(sentence)
        elif deputy and _unknown(fault) and documented(fault.op):
            remarks[name] = "TensorRT is documented to have it; TensorRT-RTX, which was asked in its place, does not"
        else:
            refused[name] = sentence
    title = f"{LIBRARIES[asked].title} {answer.version}"
    notes = [f"asked: the ONNX parser of {title}"]
    if deputy:
        notes = [f"TensorRT is not installed here: the ONNX parser of {title} was asked in its place, and {SOURCE}"]
    return ParserVerdicts(refused, remarks, tuple(problems), tuple(notes))


def _unknown(fault: Fault) -> bool:
    """Whether the parser does not have the operator at all."""
    return "Plugin not found" in fault.text or fault.text == "false"
