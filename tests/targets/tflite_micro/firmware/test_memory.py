"""Where things go among the memories of a device."""

import dataclasses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from profiles.device import Memory, load_device
from profiles.errors import UnsupportedError
from targets.tflite_micro.firmware.memory import Need, place

KIB = 1024
M55 = load_device("cortex-m55-an547")


def test_what_is_small_goes_into_the_first_memories():
    assert place(M55, Need(8 * KIB, 80 * KIB, 3 * KIB, 50 * KIB)) == {
        "code": "itcm", "constants": "itcm", "data": "dtcm", "arena": "dtcm",
    }  # fmt: skip


def test_a_large_arena_goes_elsewhere_and_the_stack_stays():
    places = place(M55, Need(8 * KIB, 80 * KIB, 3 * KIB, 600 * KIB))
    assert (places["data"], places["arena"]) == ("dtcm", "sram")


def test_many_constants_go_elsewhere_and_code_stays_where_vectors_are_read():
    places = place(M55, Need(8 * KIB, 600 * KIB, 3 * KIB, 50 * KIB))
    assert (places["code"], places["constants"]) == ("itcm", "code-sram")


def test_the_stack_moves_where_that_is_the_only_way():
    memories = [Memory("flash", "flash", 100, 0), Memory("large", "ram", 100, 200), Memory("small", "ram", 10, 400)]
    places = place(dataclasses.replace(M55, memories=tuple(memories)), Need(1, 1, 5, 99))
    assert (places["data"], places["arena"]) == ("small", "large")


def test_what_does_not_fit_is_refused_with_numbers():
    with pytest.raises(UnsupportedError) as caught:
        place(M55, Need(8 * KIB, 80 * KIB, 3 * KIB, 5000 * KIB))
    assert "3 KiB and 4.88 MiB" in caught.value.seen, caught.value.seen
    assert "dtcm 512 KiB, sram 4 MiB" in caught.value.allowed, caught.value.allowed


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=4),
    st.lists(st.integers(1, 100), min_size=1, max_size=4),
    st.builds(Need, *[st.integers(0, 120)] * 4),
)
def test_whatever_is_placed_fits(flash, ram, wanted):
    memories = [Memory(f"f{i}", "flash", size, i * 1000) for i, size in enumerate(flash)]
    memories += [Memory(f"r{i}", "ram", size, 10_000 + i * 1000) for i, size in enumerate(ram)]
    device = dataclasses.replace(M55, memories=tuple(memories))
    try:
        places = place(device, wanted)
    except UnsupportedError:
        return
    for memory in memories:
        used = sum(getattr(wanted, use) for use, name in places.items() if name == memory.name)
        assert used <= memory.size, f"{used} bytes in {memory.name} of {memory.size}"
    assert places["code"] == "f0", "the core reads its vectors from the first flash"
