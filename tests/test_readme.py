"""The README's commands are run, its claims about commands hold, and it has the parts that readers look for."""

from __future__ import annotations

import subprocess

import pytest

from tools.docs.checking import absent_programs, problem
from tools.docs.checkout import Checkout
from tools.docs.markdown import blocks, commands
from tools.docs.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [block for block in blocks(README) if block.language in ("console", "python", "toml")]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The same folder as in tests/docs, so that the demo runs once."""
    base = tmp_path_factory.getbasetemp()
    return Checkout(base / "documented", base / "documented-cache")


def test_make_demo_does_what_the_readme_says(checkout):
    done = checkout.demo()
    assert done.status == 0, f"make demo ended with {done.status}:\n{done.output[-3000:]}"
    assert (checkout.folder / "build" / "report.html").is_file(), "make demo wrote no report"
    bundles = sorted(path.parent.name for path in (checkout.folder / "build").glob("*/manifest.json"))
    assert len(bundles) == 7, f"the README says seven bundles; there are {bundles}"
    assert "raspberry-pi-5" in done.output and "ˢ" in done.output, "the stand-in is not marked in the table"


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda number: f"line-{BLOCKS[number].line}")
def test_blocks_in_order(number, checkout):
    """Each block after those before it; a failure stops only the blocks that need its files."""
    if absent := absent_programs(BLOCKS[number]):
        pytest.skip(f"this block needs {', '.join(absent)}; run: edgewright doctor")
    if BLOCKS[number].language == "console":
        assert checkout.demo().status == 0, "make demo failed, and the commands below it use its bundles"
    found = problem(BLOCKS[number], checkout)
    assert not found, f"README.md, line {BLOCKS[number].line}: the {BLOCKS[number].language} block {found}"


def test_the_two_commands_come_first():
    first, second = (commands(block)[0].text for block in BLOCKS[:2])
    assert (first, second) == ("make demo", "make test")


@pytest.mark.parametrize(
    ("target", "wanted"),
    [("demo", "edgewright build examples/digits/edge.toml"), ("test", "python -m pytest"), ("bench", "-m benchmarks")],
)
def test_the_makefile_has_the_commands(target, wanted):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and wanted in done.stdout, f"make {target} no longer runs {wanted!r}: {done.stdout}"


def test_ci_runs_the_readmes_test_command():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    words = next(line.split() for line in lines if line.startswith("make "))
    assert "test" in words[1:], f".ci/run does not call make test, but: {' '.join(words)}"


def test_the_place_for_benchmarks_is_there():
    between = README.partition("<!-- benchmarks -->")[2].partition("<!-- /benchmarks -->")[0]
    assert between.strip(), "the README has lost its benchmarks or their markers"


def test_pictures_are_small():
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert pictures, "the documents have lost their pictures"
    for path in pictures:
        size = path.stat().st_size
        assert size <= 200 * 1024, f"{path.name} has {size} bytes; make it again, smaller: python -m tools.screenshot"
