"""A library that is not installed is named, with the command that installs it, before anything is done."""

import sys

import pytest

from profiles.errors import MissingToolError
from toolchain.compress import Finetune, LowRank, Prune
from toolchain.compress.steps import runner


@pytest.mark.parametrize(
    ("options", "package"), [(Prune(method="l1"), "torch_pruning"), (LowRank(method="cp"), "tensorly")]
)
def test_a_missing_library(options, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingToolError) as caught:
        runner(options)
    assert package in caught.value.wanted
    assert caught.value.next_step == "pip install 'edgewright[compress]'"


@pytest.mark.parametrize("options", [LowRank(method="svd"), Finetune()])
def test_other_steps_do_without(options, monkeypatch):
    for package in ("torch_pruning", "tensorly"):
        monkeypatch.setitem(sys.modules, package, None)
    assert callable(runner(options))
