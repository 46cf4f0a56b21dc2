"""Every target × every case × every precision, against float64; known gaps are data with reasons."""

import os
import shutil

import pytest
from conformance.cases import CASES
from conformance.expected import load_expected
from conformance.matrix import Judgement, columns
from conformance.table import PAGE, page

from targets.registry import load_target, missing_packages, target_names

EXPECTED = load_expected()
KEYS = [(case.name, *column) for case in CASES for column in columns()]
INT8 = [
    (case.name, target)
    for case in CASES
    for target in target_names()
    if target != "null" and "int8" in load_target(target).precisions
]


def need(target):
    absent = [name for name in load_target(target).programs if shutil.which(name) is None]
    if absent and not os.environ.get("CI"):
        pytest.skip(f"the target '{target}' needs {', '.join(absent)}; run: edgewright doctor")
    missing = missing_packages(load_target(target))
    if missing:
        pytest.skip(f"the target '{target}' needs {', '.join(missing)}; run: pip install 'edgewright[{target}]'")


@pytest.mark.parametrize(("case", "target", "precision"), KEYS, ids=["-".join(key) for key in KEYS])
def test_cell(matrix, case, target, precision):
    need(target)
    cell, known = matrix.cell(case, target, precision), EXPECTED.missing(case, target, precision)
    assert cell.judgement is not Judgement.FAIL, f"{case} with {target} in {precision}: {cell.reason}"
    if known is None:
        assert cell.judgement is Judgement.OK, f"{case} with {target} is not supported any more: {cell.reason}"
    else:
        assert cell.judgement is Judgement.NOT_SUPPORTED, f"{case} with {target} works now: take it from expected.toml"
        assert known.reason in cell.reason, f"{case} with {target} is refused for another reason: {cell.reason}"


@pytest.mark.parametrize(("case", "target"), INT8, ids=["-".join(key) for key in INT8])
def test_int8_runs_in_int8(matrix, local_device, case, target):
    """As the engine itself says; every layer in float was announced by ``support``, or is listed with its reason."""
    need(target)
    if not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(local_device.cpu.features):
        pytest.skip("which layers run in int8 is known for x86 processors with VNNI only, and this one has none")
    cell, known = matrix.cell(case, target, "int8"), EXPECTED.floats(case, target)
    if known is None:
        assert cell.in_float <= cell.said, f"{cell.in_float} layers ran in float, {cell.said} were announced: {cell}"
    else:
        assert cell.in_float == known.layers, f"{cell.in_float} layers ran in float, listed are {known.layers}"


def test_known_gaps_are_about_cells_that_exist():
    entries = (*EXPECTED.not_supported, *EXPECTED.in_float, *EXPECTED.steps)
    cells = {(case, target) for case, target, _ in KEYS}
    for entry in entries:
        there = cells if entry in EXPECTED.not_supported else INT8
        assert (entry.case, entry.target) in there, f"there is no cell for {entry}"
        assert entry.why, f"an entry needs its reason: {entry}"
    assert len({(type(entry), entry.case, entry.target) for entry in entries}) == len(entries), "one entry per cell"


def test_there_are_enough_cases():
    assert len(CASES) >= 30
    assert len({case.name for case in CASES}) == len(CASES), "names must be unique"


def test_the_page_is_current():
    assert PAGE.read_text() == page(EXPECTED), "run: python -m tests.conformance --write"
