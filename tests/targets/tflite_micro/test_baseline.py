"""Nothing gets slower or larger by more than 1 % unnoticed, and nothing better is left uncommitted."""

import re

import baseline
import pytest

from targets.registry import program_version

TOLERANCE = 0.01
REWRITE = "python tests/targets/tflite_micro/baseline.py --write"


@pytest.mark.parametrize("key", baseline.KEYS)
def test_figures_are_those_of_the_baseline(key):
    wanted, seen = baseline.load()[key], baseline.figures(key)
    same_compiler = re.search(r"\b12\.2\.", program_version("arm-none-eabi-gcc"))
    for name, value in wanted.items():
        if name in ("instructions", "code") and not same_compiler:
            continue  # of another compiler nothing is known
        change = seen[name] / value - 1
        assert abs(change) <= TOLERANCE, (
            f"{key}: {name} was {value}, is {seen[name]} ({change:+.1%}); if that is meant, run: {REWRITE}"
        )
    assert same_compiler or {"arena", "constants"} <= set(wanted)
