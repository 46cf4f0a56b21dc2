from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from toolchain.project.common import Frozen
from toolchain.project.steps import STEPS, Step

MODEL = '[model]\nsource = "zoo:resnet8"\n'


class PruneOptions(Frozen):
    ratio: Annotated[float, Field(gt=0, lt=1)]
    guard: bool = False


class NoOptions(Frozen):
    pass


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(STEPS, "prune", PruneOptions)
    monkeypatch.setitem(STEPS, "distill", NoOptions)


def test_steps_keep_their_order_and_their_options(load, registered):
    project = load(MODEL + "[compress]\nsteps = [{ distill = {} }, { prune = { ratio = 0.5 } }]\n")
    assert project.compress.steps == (
        Step(name="distill", options=NoOptions()),
        Step(name="prune", options=PruneOptions(ratio=0.5)),
    )
    assert project.model_dump()["compress"]["steps"][1] == {"name": "prune", "options": {"ratio": 0.5, "guard": False}}


def test_steps_may_be_written_as_an_array_of_tables(load, registered):
    project = load(MODEL + "[[compress.steps]]\nprune.ratio = 0.25\n[[compress.steps]]\ndistill = {}\n")
    assert [step.name for step in project.compress.steps] == ["prune", "distill"]


def test_an_unknown_step_lists_the_known_ones(refusal, registered):
    error = refusal(MODEL + "[compress]\nsteps = [\n{ distill = {} },\n{ prun = {} }]\n")
    assert error.wanted == "edge.toml, line 6: compress.steps[1].prun names no compression step"
    assert (error.allowed, error.next_step) == ("prune, distill", "did you mean 'prune'?")


def test_this_release_has_no_steps_and_says_so(refusal, monkeypatch):
    monkeypatch.setattr("toolchain.project.steps.STEPS", {})
    error = refusal(MODEL + "[compress]\nsteps = [{ prune = {} }]\n")
    assert error.allowed == "none: this release has no compression steps yet"


@pytest.mark.parametrize(
    ("options", "line", "sentence"),
    [
        ("{ ratio = 2.0 }", 4, "prune.ratio is out of range"),
        ("{}", 4, "prune needs the key 'ratio'"),
        ("{ ratio = 0.5, gaurd = true }", 4, "prune.gaurd is not a known key"),
        ("0.5", 4, "prune has a value of the wrong type"),
    ],
)
def test_options_of_a_step_are_checked(refusal, registered, options, line, sentence):
    error = refusal(MODEL + f"[compress]\nsteps = [{{ prune = {options} }}]\n")
    assert error.wanted == f"edge.toml, line {line}: compress.steps[0].{sentence}"


@pytest.mark.parametrize(
    ("step", "seen"), [('"prune"', "'prune'"), ("{}", "no key"), ("{ prune = {}, distill = {} }", "'prune', 'distill'")]
)
def test_a_step_is_a_table_with_one_key(refusal, registered, step, seen):
    error = refusal(MODEL + f"[compress]\nsteps = [{step}]\n")
    assert error.wanted == "edge.toml, line 4: compress.steps[0] is not a compression step"
    assert error.seen == seen
