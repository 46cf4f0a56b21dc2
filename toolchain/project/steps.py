"""The compression steps that a project file may name, and the options of each.

A step is registered under its name with the model of its options, so that a project file is checked
without importing what carries the step out.
"""

from __future__ import annotations

import functools
import operator
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, ValidationError, ValidationInfo, create_model

from profiles.suggest import did_you_mean
from toolchain.project.common import Frozen, problem
from toolchain.project.problems import describe
from toolchain.project.recipe import STEPS, StepOptions


class Step(Frozen):
    """One compression step: its registered ``name`` and its validated ``options``."""

    name: str
    options: SerializeAsAny[StepOptions]


def _read_step(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Step):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise problem(
            "is not a compression step",
            seen=", ".join(f"'{key}'" for key in value) or "no key" if isinstance(value, dict) else repr(value),
            allowed="a table with one key, the step's name: { STEP = { ... } }",
        )
    ((name, options),) = value.items()
    if name not in STEPS:
        raise problem(
            "names no compression step",
            seen=f"'{name}'",
            allowed=", ".join(STEPS),
            next_step=did_you_mean(name, STEPS) or "see: edgewright methods",
            at=(name,),
        )
    return Step(name=name, options=_read_options(name, options, info))


def _read_options(name: str, options: Any, info: ValidationInfo) -> StepOptions:
    try:
        return STEPS[name].model_validate(options, context=info.context)
    except ValidationError as error:
        deepest = max(error.errors(), key=lambda found: len(found["loc"]))  # of a union: the branch that fitted best
        first = describe(deepest, STEPS[name])
        raise problem(
            first.sentence, seen=first.seen, allowed=first.allowed, next_step=first.next_step, at=(name, *first.at)
        ) from error


def _written(name: str) -> Any:
    """The table as the file has it, for editors: one key, the step's name."""
    return create_model(f"{STEPS[name].__name__}Step", __base__=Frozen, **{name: (STEPS[name], ...)})  # type: ignore[call-overload]


_Written = functools.reduce(operator.or_, [_written(name) for name in STEPS])
StepTable = Annotated[Step, BeforeValidator(_read_step, json_schema_input_type=_Written)]
