"""Tiles chosen by measuring."""

import dataclasses
import json

import numpy as np
import pytest
from builds import build, outputs_of

from profiles.device import load_device
from profiles.errors import ConfigError
from targets.tvm_cpu import bundle


@pytest.mark.usefixtures("compiled_here")
def test_tuning_measures_keeps_its_records_and_changes_no_output(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, tuned = build("x86_64", tmp_path / "a"), build("x86_64", tmp_path / "b", tuning_seconds=1)
    records = json.loads((tuned[2] / "tuning.json").read_text())
    assert records["measured"], "nothing was measured"
    for found in records["measured"].values():
        assert all(row["seconds"] > 0 for row in found)
    assert records["seconds"] < 1 + 10, "the last measurement may end late, and no more"
    assert "tuning.json" in tuned[3].unreproducible
    for one, other in zip(outputs_of(*plain)[0], outputs_of(*tuned)[0], strict=True):
        np.testing.assert_array_equal(one["scores"], other["scores"])


def test_another_machine_is_not_tuned_for_and_says_why():
    seconds, why = bundle.tuning(load_device("raspberry-pi-5"))
    assert seconds == 0
    assert "another one" in why
    assert bundle.tuning(load_device("local-cpu")) == (bundle.TUNING_SECONDS, "")


@pytest.mark.parametrize("seconds", [-1, "20", True, float("inf"), float("nan")])
def test_a_tuning_time_that_is_none_is_refused(seconds):
    device = dataclasses.replace(load_device("local-cpu"), parameters={"tuning_seconds": seconds})
    with pytest.raises(ConfigError, match="tuning_seconds"):
        bundle.tuning(device)
