"""Which channels go: brute force, and what must hold for any scores."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="scores are torch tensors")

from toolchain.compress.structured.select import Room, choose, normalised  # noqa: E402


def rooms(**counts):
    return {name: Room(count, count, count - 1) for name, count in counts.items()}


def test_a_layer_loses_its_share_and_the_lowest_scores_go():
    scores = {"a": torch.tensor([3.0, 1.0, 2.0, 4.0]), "b": torch.tensor([0.1, 0.4, 0.3, 0.2, 0.5, 0.6])}
    assert choose(scores, rooms(a=4, b=6), 0.5, everywhere=False) == {"a": [1, 2], "b": [0, 2, 3]}


def test_global_scores_are_divided_by_their_groups_mean_unless_comparable():
    scores = {"a": torch.tensor([1.0, 9.0]), "b": torch.tensor([300.0, 500.0])}
    # over the means 5 and 400: 0.2, 1.8 and 0.75, 1.25
    assert choose(scores, rooms(a=2, b=2), 0.5, everywhere=True) == {"a": [0], "b": [0]}
    free = {name: Room(3, 3, 2) for name in ("a", "b")}
    low = {"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([10.0, 10.0, 10.0])}
    assert choose(low, free, 2 / 6, everywhere=True, comparable=True) == {"a": [0, 1]}


def test_the_cap_of_one_group_sends_the_search_to_the_next():
    scores = {"a": torch.tensor([0.1, 0.2, 0.3, 0.4]), "b": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    limits = {"a": Room(4, 4, 1), "b": Room(4, 4, 3)}
    assert choose(scores, limits, 0.5, everywhere=True, comparable=True) == {"a": [0], "b": [0, 1, 2]}


def test_what_stays_is_a_multiple_and_no_more_goes_than_asked_for():
    room = Room(before=20, now=20, most=17, multiple=8)
    assert [room.rounded(count) for count in (0, 3, 4, 11, 12, 17, 99)] == [0, 0, 4, 4, 12, 12, 12]


def test_later_rounds_count_from_the_start():
    scores = {"a": torch.tensor([4.0, 3.0, 2.0, 1.0, 5.0, 6.0])}
    assert choose(scores, {"a": Room(8, 6, 5)}, 0.5, everywhere=False) == {"a": [2, 3]}
    assert choose(scores, {"a": Room(8, 6, 5)}, 0.1, everywhere=False) == {}


def test_nothing_to_score_is_nothing_to_drop():
    assert choose({}, {}, 0.5, everywhere=True) == {}
    assert normalised(torch.zeros(3)).tolist() == [0, 0, 0]


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    value = st.integers(0, 20).map(float)
    scores = {f"g{i}": torch.tensor(draw(st.lists(value, min_size=n, max_size=n))) for i, n in enumerate(sizes)}
    limits = {
        name: Room(len(part), len(part), draw(st.integers(0, len(part) - 1)), draw(st.integers(1, 4)))
        for name, part in scores.items()
    }
    return scores, limits, draw(st.booleans())


@settings(max_examples=80, deadline=None)
@given(problems(), st.floats(0, 1), st.floats(0, 1))
def test_any_choice_fits_its_room_and_more_share_takes_more(problem, one, other):
    scores, limits, everywhere = problem
    less, more = (choose(scores, limits, share, everywhere=everywhere) for share in sorted((one, other)))
    for name, part in scores.items():
        few, many = set(less.get(name, ())), set(more.get(name, ()))
        assert few <= many and len(many) <= limits[name].most
        assert not many or (len(part) - len(many)) % limits[name].multiple == 0
        stay = [float(part[i]) for i in range(len(part)) if i not in many]
        assert not many or max(float(part[i]) for i in many) <= min(stay)
