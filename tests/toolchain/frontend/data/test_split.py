"""Splits depend on contents, not on order; classes stay balanced; nothing is in two parts."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolchain.frontend.data.split import choose, content_key, content_keys, ordered, split_test

SAMPLES = st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.integers(0, 3)), min_size=1, max_size=60)


def test_keys_depend_on_content_and_seed():
    assert content_key(b"a", 0) == content_key(b"a", 0)
    assert len({content_key(b"a", 0), content_key(b"b", 0), content_key(b"a", 1), content_key(b"a", -1)}) == 4


def unpack(samples, seed=0):
    keys = content_keys((content for content, _ in samples), seed)
    return keys, np.array([label for _, label in samples], np.int64)


@given(SAMPLES, st.randoms(use_true_random=False), st.floats(0.05, 0.95))
def test_the_order_of_rows_does_not_matter(samples, random, fraction):
    def parts(rows):
        keys, labels = unpack(rows)
        test = split_test(keys, labels, fraction)
        order = ordered(keys, labels, range(len(rows)))
        chosen = choose(order, labels, 7)
        return Counter(rows[i] for i in np.flatnonzero(test)), [rows[i] for i in order], [rows[i] for i in chosen]

    shuffled = list(samples)
    random.shuffle(shuffled)
    assert parts(samples) == parts(shuffled)


@given(SAMPLES, st.floats(0.05, 0.95))
def test_the_same_content_is_never_in_both_parts(samples, fraction):
    keys, labels = unpack(samples)
    test = split_test(keys, labels, fraction)
    tested = {samples[i][0] for i in np.flatnonzero(test)}
    trained = {samples[i][0] for i in np.flatnonzero(~test)}
    assert not tested & trained


@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.floats(0.05, 0.95))
def test_every_class_gives_its_share(sizes, fraction):
    samples = [(f"{label}-{i}".encode(), label) for label, size in enumerate(sizes) for i in range(size)]
    keys, labels = unpack(samples)
    test = split_test(keys, labels, fraction)
    for label, size in enumerate(sizes):
        count = int(test[labels == label].sum())
        assert 1 <= count <= size - 1, f"class {label} of {size} must be in both parts, {count} test"
        assert abs(count - size * fraction) <= 1, f"class {label} gives {count} of {size}, asked for {fraction:.2f}"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50), st.integers(1, 60))
def test_chosen_classes_are_as_even_as_they_can_be(labels, count):
    labels = np.array(labels)
    chosen = choose(np.arange(len(labels)), labels, count)
    assert len(chosen) == min(count, len(labels))
    assert len(set(chosen.tolist())) == len(chosen), "no row twice"
    assert (np.diff(chosen) > 0).all(), "the order of rows is kept"
    taken, there = Counter(labels[chosen].tolist()), Counter(labels.tolist())
    for a in there:
        for b in there:
            if taken[a] < there[a]:
                assert taken[b] <= taken[a] + 1, f"class {b} gave {taken[b]}, class {a} only {taken[a]} of {there[a]}"


def test_without_labels_the_first_are_chosen():
    assert choose(np.array([4, 2, 9]), None, 2).tolist() == [4, 2]
    assert split_test(content_keys([b"a", b"b", b"c", b"d"], 0), None, 0.25).sum() == 1
