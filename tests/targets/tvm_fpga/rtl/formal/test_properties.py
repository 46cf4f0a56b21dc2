"""Properties of the queues, shown by yosys' own solver: for some cycles from reset, and, by induction, for all."""

import pytest
from yosys import yosys

from targets.tvm_fpga.rtl.sources import FORMAL, SOURCES

_PREPARE = "prep -flatten -top {0}; memory_map; opt -full; async2sync; dffunmap;"
_BLOCKS = {"ew_fifo_props": ["ew_fifo"], "ew_issue_props": ["ew_issue"], "ew_store_props": ["ew_store", "ew_fifo"]}


def _prove(module, how, folder, define=""):
    files = [SOURCES / f"{name}.v" for name in _BLOCKS[module]]
    script = f"{_PREPARE.format(module)} sat -verify -prove-asserts -set-def-inputs {how} {module}"
    done = yosys(script, folder, files=[*files, FORMAL / f"{module}.v"], define=define)
    assert done.status == 0, f"{module}: {done.stdout[-2000:]} {done.stderr[-1000:]}"


def test_a_fifo_always_keeps_its_count(tmp_path):
    _prove("ew_fifo_props", "-tempinduct -maxsteps 8", tmp_path)


def test_a_fifo_gives_the_words_in_order_for_ten_cycles(tmp_path):
    _prove("ew_fifo_props", "-tempinduct-baseonly -maxsteps 10", tmp_path, define="DATA")


@pytest.mark.parametrize("module", ["ew_store_props", "ew_issue_props"])
def test_for_eight_cycles(module, tmp_path):
    """Among others: a store never retires more instructions than it took, no bank is asked for two reads."""
    _prove(module, "-tempinduct-baseonly -maxsteps 8", tmp_path)


def test_a_wrong_property_is_found(tmp_path):
    """The proof can fail: a fifo of four words does hold more than three."""
    text = (FORMAL / "ew_fifo_props.v").read_text()
    wrong = tmp_path / "ew_fifo_props.v"
    wrong.write_text(text.replace("assert (count <= 4)", "assert (count <= 3)"))
    script = (
        _PREPARE.format("ew_fifo_props")
        + " sat -verify -prove-asserts -set-def-inputs -tempinduct -maxsteps 8 ew_fifo_props"
    )
    done = yosys(script, tmp_path, files=[SOURCES / "ew_fifo.v", wrong])
    assert done.status != 0 and "proof did fail" in done.stdout + done.stderr
