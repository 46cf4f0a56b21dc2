"""What the agent gets to hear of a board, from steps that answer as told. No board."""

import json
import math

import pytest

from profiles.errors import OutputError, UnreachableError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.gateway.runtime import BoardRuntime, BoardSlots


class Steps:
    """Answers by command, one after the other where there are several; an error is raised."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def run(self, command, slot=None):
        self.asked.append(command)
        answer = self.answers.get(command, {})
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    run_patiently = run


def runs(yes, digest="d"):
    return {"runs": yes, "kept": False, "wanted": digest}


@pytest.fixture
def folder(tmp_path):
    """Slots a and b of an agent; ``current`` leads to a."""
    for name in "ab":
        (tmp_path / "slots" / name).mkdir(parents=True)
    Disk().point(tmp_path / "current", "slots/a")
    return tmp_path


def runtime(folder, steps):
    return BoardRuntime(steps, None, folder / "figures.json", Disk())


@pytest.mark.parametrize("step", ["build", "golden"])
@pytest.mark.parametrize("reason", ["download", "trust"])
def test_a_check_that_fails_midway_goes_back(folder, step, reason):
    command = {"build": "install", "golden": "golden"}[step]
    steps = Steps(**{command: CheckError(reason, "pulled"), "back": CheckError("download", "still pulled"),
                     "status": runs(False)})  # fmt: skip
    with pytest.raises(CheckError) as caught:
        getattr(runtime(folder, steps), step)(folder / "slots/b")
    assert (caught.value.reason, caught.value.detail) == (reason, "pulled")
    assert [steps.asked[0], steps.asked[-1]] == [command, "back"]


@pytest.mark.parametrize("is_there", [True, False], ids=["only-the-firmware", "all-of-the-board"])
@pytest.mark.parametrize("step", ["golden", "latency"])
def test_firmware_that_is_silent_is_told_from_a_board_that_is_gone(folder, step, is_there):
    """What is tried again flashes the board again; a release that never answers must not do so for ever."""
    status = [runs(True)] if step == "latency" else []
    status += [runs(True) if is_there else CheckError("download", "no port")]
    steps = Steps(**{step: CheckError("download", "nobody answers"), "status": status})
    with pytest.raises(CheckError) as caught:
        getattr(runtime(folder, steps), step)(folder / "slots/b")
    assert caught.value.reason == ("crash" if is_there else "download") and steps.asked[-1] == "back"
    assert not is_there or "nobody answers" in caught.value.detail


def test_a_check_that_passes_goes_on_from_the_trial(folder):
    steps = Steps()
    runtime(folder, steps).build(folder / "slots/b")
    runtime(folder, steps).golden(folder / "slots/b")
    assert steps.asked == ["install", "golden"]


def test_figures_are_kept_and_remembered_while_another_release_is_on_trial(folder):
    steps = Steps(status=runs(True), latency={"figures": {"latency_p50": 0.25, "cycles": 7}})
    found = runtime(folder, steps).latency(folder / "slots/a")
    assert found == {"latency_p50": 0.25, "cycles": 7.0} and steps.asked == ["status", "latency", "back"]
    steps = Steps(status=runs(False))
    assert runtime(folder, steps).latency(folder / "slots/a") == found and steps.asked == ["status"]


def test_a_board_that_restarted_before_it_was_measured_has_given_the_release_up(folder):
    """Else what was never measured would pass every budget."""
    (folder / "figures.json").write_text(json.dumps({"d": {"latency_p50": 0.25}}))
    with pytest.raises(CheckError) as caught:
        runtime(folder, Steps(status=runs(False))).latency(folder / "slots/b")
    assert caught.value.reason == "crash" and "restarted" in caught.value.detail


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, -1e-9, 10**400, "1", True, None, [1]],
    ids=["nan", "inf", "minus-inf", "negative", "huge", "text", "truth", "none", "list"],
)  # fmt: skip
def test_figures_that_cannot_be_are_refused_and_not_kept(folder, value):
    steps = Steps(status=runs(True), latency={"figures": {"cycles": 7, "latency_p50": value}})
    with pytest.raises(CheckError) as caught:
        runtime(folder, steps).latency(folder / "slots/b")
    assert caught.value.reason == "crash" and "latency_p50" in caught.value.detail and len(caught.value.detail) < 200
    assert steps.asked[-1] == "back" and not (folder / "figures.json").exists()


@pytest.mark.parametrize(("reason", "kind"), [("download", UnreachableError), ("parity", OutputError)])
def test_a_board_that_does_not_answer_is_told_from_one_that_refuses(tmp_path, reason, kind):
    steps = Steps(install=CheckError(reason, "it did not work out"))
    with pytest.raises(kind, match="it did not work out"):
        BoardSlots(tmp_path, Disk(), steps, lambda text: None).point("a")
    assert not (tmp_path / "current").is_symlink()
