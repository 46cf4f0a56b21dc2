"""Counts are exact, ties fall the same way, patterns hold everywhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from profiles.errors import ConfigError
from toolchain.compress.sparse.selection import erk_kept, keep_mask, nm_mask, parse_pattern, removed_count, select

shares = st.floats(0.01, 0.99)
#: Few values, so that ties are the rule.
tensors = hnp.arrays(np.float32, hnp.array_shapes(max_dims=4, max_side=5), elements=st.integers(0, 3)).map(
    torch.from_numpy
)


def lowest_by_sorting(scores, count):
    """The oracle: a list of (score, position), sorted by Python."""
    order = sorted(range(scores.numel()), key=lambda index: (scores.flatten()[index].item(), index))
    mask = torch.ones(scores.numel(), dtype=torch.bool)
    mask[order[:count]] = False
    return mask.view(scores.shape)


@given(tensors, shares)
def test_a_mask_drops_the_lowest_scores_and_of_equal_ones_the_first(scores, share):
    count = removed_count(share, scores.numel())
    mask = keep_mask(scores, count)
    assert int((~mask).sum()) == count
    assert torch.equal(mask, lowest_by_sorting(scores, count))


@given(shares, st.integers(1, 10_000))
def test_a_share_is_reached_up_to_half_a_weight_and_one_weight_stays(share, count):
    removed = removed_count(share, count)
    assert abs(removed - share * count) <= 0.5 or removed == count - 1
    assert 0 <= removed < count


@given(st.lists(tensors, min_size=1, max_size=4), shares)
def test_global_is_one_layer_made_of_all(scores, share):
    masks = select(scores, share, "global")
    together = torch.cat([one.flatten() for one in scores])
    expected = lowest_by_sorting(together, removed_count(share, together.numel()))
    assert torch.equal(torch.cat([mask.flatten() for mask in masks]), expected)
    assert [mask.shape for mask in masks] == [one.shape for one in scores]


@given(st.lists(tensors, min_size=1, max_size=4), shares)
def test_layer_treats_every_layer_alone(scores, share):
    for mask, one in zip(select(scores, share, "layer"), scores, strict=True):
        assert torch.equal(mask, lowest_by_sorting(one, removed_count(share, one.numel())))


def test_the_memory_format_does_not_matter():
    scores = torch.randint(0, 3, (4, 5, 3, 3)).float()
    assert torch.equal(keep_mask(scores, 70), keep_mask(scores.to(memory_format=torch.channels_last), 70))


@given(st.data(), st.integers(2, 8), st.integers(0, 3), st.integers(1, 3))
def test_n_of_every_m_neighbours_stay_and_they_are_the_largest(data, m, axis, blocks):
    n = data.draw(st.integers(1, m - 1))
    shape = [2, 3, 2, 1]
    shape[axis] = m * blocks
    scores = torch.from_numpy(data.draw(hnp.arrays(np.float32, shape, elements=st.integers(0, 9))))
    mask = nm_mask(scores, n, m, axis)
    assert mask.shape == scores.shape
    for line, kept in zip(scores.movedim(axis, -1).reshape(-1, m), mask.movedim(axis, -1).reshape(-1, m), strict=True):
        assert int(kept.sum()) == n
        assert torch.equal(kept, lowest_by_sorting(line, m - n))


@pytest.mark.parametrize("text", ["", "2", "2:", "4:4", "5:4", "0:4", "2:4:8", "-2:4", "two:four"])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(ConfigError, match="unknown pattern"):
        parse_pattern(text)


def test_patterns_are_read():
    assert (parse_pattern("2:4"), parse_pattern("4:8"), parse_pattern("1:16")) == ((2, 4), (4, 8), (1, 16))


shapes = st.lists(st.lists(st.integers(1, 12), min_size=2, max_size=4), min_size=1, max_size=6)


@given(shapes, shares)
def test_erk_keeps_exactly_the_share_and_never_more_than_there_is(shapes, share):
    sizes = [math.prod(shape) for shape in shapes]
    kept = erk_kept(shapes, share)
    assert sum(kept) == sum(sizes) - removed_count(share, sum(sizes))
    assert all(0 <= k <= size for k, size in zip(kept, sizes, strict=True))


def test_erk_of_layers_that_are_not_full_is_in_proportion_to_the_sum_of_axes():
    """100 x 100 and 50 x 50: 200 to 100 kept weights, whatever the sizes."""
    assert erk_kept([(100, 100), (50, 50)], 1 - 300 / 12_500) == [200, 100]


def test_erk_fills_small_layers_first():
    """A 2 x 2 layer would get 4 / 204 of 1000 weights, more than it has: it is full, the other gets the rest."""
    assert erk_kept([(100, 100), (2, 2)], 1 - 1000 / 10_004) == [996, 4]
