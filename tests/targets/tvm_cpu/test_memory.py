"""The plan of the arena, on random programs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tvm_cpu.memory import ALIGNMENT, place, spans
from targets.tvm_cpu.program import Program, Step, Value


@st.composite
def programs(draw):
    """Chains of steps, each with one fresh output and some inputs from before; some values are views of others."""
    values, storage, steps = [Value((draw(st.integers(1, 400)),), "float32", False)], [0], []
    values.append(Value((7,), "float32", True))
    storage.append(1)
    for number in range(draw(st.integers(1, 12))):
        reads = draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=3))
        values.append(Value((draw(st.integers(1, 400)),), "float32", False))
        storage.append(len(values) - 1)
        steps.append(Step(f"{number}", "kernel", (*reads, len(values) - 1), 1))
        if draw(st.booleans()):
            source = draw(st.integers(0, len(values) - 1))
            values.append(Value((1, *values[source].shape), "float32", values[source].constant))
            storage.append(storage[source])
    outputs = draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=3))
    return Program(tuple(values), tuple(steps), (0,), tuple(outputs), tuple(storage))


@settings(max_examples=200, deadline=None)
@given(programs())
def test_values_that_live_at_the_same_time_do_not_overlap(program):
    placed = place(program)
    lives = spans(program)
    for one in lives:
        for other in lives:
            if one.number < other.number and one.meets(other):
                a, b = placed.values[one.number].offset, placed.values[other.number].offset
                assert a + one.bytes <= b or b + other.bytes <= a, f"{one} at {a} overlaps {other} at {b}"


@settings(max_examples=100, deadline=None)
@given(programs())
def test_the_arena_holds_everything_and_is_no_larger_than_all_values_together(program):
    placed, lives = place(program), spans(program)
    for number, value in enumerate(placed.values):
        if not value.constant and program.storage[number] in {span.number for span in lives}:
            assert value.offset % ALIGNMENT == 0
            assert value.offset + value.bytes <= placed.arena
    busiest = max(sum(s.bytes for s in lives if s.first <= t <= s.last) for t in range(len(program.steps) + 1))
    assert busiest <= placed.arena <= sum(span.bytes for span in lives)


@settings(max_examples=50, deadline=None)
@given(programs())
def test_a_view_lies_where_its_source_lies(program):
    placed = place(program)
    for number, root in enumerate(program.storage):
        if not placed.values[number].constant and any(span.number == root for span in spans(program)):
            assert placed.values[number].offset == placed.values[root].offset


@settings(max_examples=50, deadline=None)
@given(programs())
def test_a_plan_survives_its_file(program):
    placed = place(program)
    assert Program.from_dict(placed.as_dict()) == placed
