import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.device import Cpu, Device, Memory
from targets.fit import weights_fit


def device(**sizes):
    memories = tuple(Memory(kind, kind, size) for kind, size in sizes.items())
    return Device("board", "A board", (), Cpu("armv7e-m"), memories)


@given(st.integers(0, 2**32), st.integers(1, 2**32), st.integers(1, 2**32))
def test_every_memory_is_judged_by_its_size(weights, ram, flash):
    said, problems = weights_fit(device(ram=ram, flash=flash), weights)
    assert len(said) == (weights <= ram) + (weights <= flash)
    assert len(said) + len(problems) == 2
    assert all(sentence.endswith(": fits") for sentence in said)
    assert all(sentence.endswith(": does not fit") for sentence in problems)


def test_sentences_have_units():
    said, problems = weights_fit(device(ram=256 * 1024, flash=2 * 1024 * 1024), 512 * 1024)
    assert said == ("constants of 512 KiB in 2 MiB of flash: fits",)
    assert problems == ("constants of 512 KiB in 256 KiB of ram: does not fit",)


@pytest.mark.parametrize("weights", [0, 10**12])
def test_nothing_is_said_of_memories_that_are_not_known(weights):
    assert weights_fit(device(), weights) == ((), ())


def test_memories_of_one_kind_count_together():
    two = Device("b", "B", (), Cpu("armv7e-m"), (Memory("itcm", "ram", 100), Memory("dtcm", "ram", 100)))
    assert weights_fit(two, 150)[1] == ()
    assert len(weights_fit(two, 201)[1]) == 1
