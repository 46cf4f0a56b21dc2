"""Row-wise groups, run on paper: no row is read after it was overwritten, and no byte of head start is wasted."""

import dataclasses

import planned_networks as networks
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned_networks import Network

from targets.tflite_micro.calls import Call, In, Out, Rows, Scratch
from targets.tflite_micro.plan.check import check
from targets.tflite_micro.plan.fuse import fuse
from targets.tflite_micro.plan.schedule import Place, events, faults
from targets.tflite_micro.plan.strips import Group
from targets.tflite_micro.plan.tree import Flow, groups_of

FAR = 4096


def _overlaps(calls):
    return {index: call.overlap for index, call in enumerate(calls)}


def _stage(draw, net: Network, key: int) -> int:
    """A call with a window, one without, or one on elements."""
    h, w, c = net.shapes[key]
    kind = draw(st.sampled_from(("ring", "ring", "direct", "elements")))
    gap = draw(st.sampled_from((None, -2, 0, 3)))
    if kind == "elements":
        out = net.tensor(h, w, c)
        overlap = {} if gap is None else {key: gap}
        net.calls.append(Call("ew_lut", {"count": h * w * c}, (In(key), Out(out)), 0, overlap, True, name="lut"))
        return out
    stride = draw(st.integers(1, 3))
    height = 1 if kind == "direct" else draw(st.integers(1, 4))
    top = draw(st.integers(0, height - 1))
    rows = max((h + top - height) // stride + 1, 1) if kind == "ring" else -(-h // stride)
    out = net.tensor(rows, draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    form = Rows("load" * (kind == "ring"), "row", stride, height - top, h, rows, w * c, net.size(out) // rows)
    scratch = draw(st.sampled_from((16, 40))) if kind == "ring" else draw(st.sampled_from((0, 8)))
    args = (In(key), Out(out), Scratch())
    net.calls.append(Call("ew_any", {}, args, scratch, {} if gap is None else {key: gap}, False, form, name=kind))
    return out


def _sum(draw, net: Network, key: int) -> int:
    """An addition of a tensor in memory, of a branch, or of a sum."""
    other = net.tensor(*net.shapes[key])
    for _ in range(draw(st.integers(0, 2))):
        grown = _stage(draw, net, other)
        if net.shapes[grown][0] != net.shapes[key][0] or net.size(grown) != net.size(key):
            del net.calls[-1], net.shapes[-1]
            break
        other = grown
    pair = [key, other] if draw(st.booleans()) else [other, key]
    result = net.add("add", *pair)
    gaps = {k: draw(st.sampled_from((0, 0, -1, 2))) for k in pair if draw(st.integers(0, 3))}
    net.calls[-1] = dataclasses.replace(net.calls[-1], overlap=gaps)
    return result


@st.composite
def trees(draw) -> Network:
    """Calls whose last one may be the root of a group of all."""
    net = Network()
    key = net.tensor(draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(1, 4))):
        key = _stage(draw, net, key)
        if draw(st.integers(0, 2)) == 0:
            key = _sum(draw, net, key)
    return net


@settings(max_examples=250, deadline=None)
@given(trees())
def test_rows_are_read_before_they_are_overwritten_and_the_distance_is_the_smallest(net):
    groups = groups_of(Flow(net.calls, net.buffers()), range(len(net.calls)))
    assert groups or all(call.rows is None for call in net.calls), "these calls form a tree"
    for group in groups:
        assert set(group.calls) == set(range(len(net.calls)))
        places = {group.output: FAR, **{key: (i + 2) * FAR for i, key in enumerate(group.reads)}}
        assert faults(group, places, 0, _overlaps(net.calls)) == []
        for key, gap in group.overlap.items():
            near = {**places, key: FAR + gap}
            assert faults(group, near, 0, _overlaps(net.calls)) == [], f"tensor {key} at a distance of {gap}"
            declared = {s.tensor for stage in group.stages if stage.mode != "ring" for s in stage.sources}
            if gap > -net.size(key) and key not in declared:
                nearer = {**places, key: FAR + gap - 1}
                assert faults(group, nearer, 0, _overlaps(net.calls)), f"tensor {key} could lie closer than {gap}"


@settings(max_examples=60, deadline=None)
@given(trees())
def test_fused_plans_run_correctly_and_are_never_larger(net):
    found = fuse(net.calls, net.buffers())
    assert check(found.problem, found.plan) == []
    assert found.plan.arena <= found.unfused
    assert bool(found.groups) == (found.plan.arena < found.unfused), "groups are there when they save bytes"
    for index, unit in enumerate(found.units):
        if isinstance(unit, Group):
            scratch = found.plan.scratch_offsets.get(index, 0)
            assert faults(unit, found.plan.offsets, scratch, _overlaps(net.calls)) == []
    ran = [call for unit in found.units for call in (unit.calls if isinstance(unit, Group) else (unit,))]
    assert sorted(ran) == list(range(len(net.calls)))


def test_the_schedule_of_two_convolutions_row_by_row():
    # 4 rows; the second needs one row more than it has computed, and so does the first.
    net = Network()
    x = net.windowed("a", net.tensor(4, 4, 1), (3, 3), 1, 1, wide=1)
    net.windowed("b", x, (3, 3), 1, 1, wide=1)
    (group,) = groups_of(Flow(net.calls, net.buffers()), (0, 1))
    said = [("load" if event.to is None else "row", event.stage, event.row) for event in events(group)]
    assert said == [
        ("load", 0, 0), ("load", 0, 1), ("row", 0, 0), ("load", 1, 0),
        ("load", 0, 2), ("row", 0, 1), ("load", 1, 1), ("row", 1, 0),
        ("load", 0, 3), ("row", 0, 2), ("load", 1, 2), ("row", 1, 1),
        ("row", 0, 3), ("load", 1, 3), ("row", 1, 2), ("row", 1, 3),
    ]  # fmt: skip
    assert group.scratch == 32 + 32 + 4  # two rings of 3 rows of 6 bytes, one row
    assert group.overlap == {0: -2 * 4}  # row 0 of the output is written when 3 rows are loaded
    assert next(event.to for event in events(group) if event.stage == 1 and event.to) == Place(2, 0, 4)


def test_the_skip_row_of_a_residual_block_is_added_in_place():
    net = networks.resnet8()
    (in_buffer, in_row) = groups_of(Flow(net.calls, net.buffers()), (1, 2, 3))
    assert in_buffer.overlap == {1: 0} and in_buffer.scratch == 3264 + 3264 + 512
    assert in_row.overlap == {1: 512} and in_row.scratch == 3264 + 3264 + 512, "conv2a still needs its row"


def test_tensors_with_two_readers_or_outputs_do_not_vanish():
    net = networks.resnet8()
    flow = Flow(net.calls, net.buffers())
    assert groups_of(flow, (0, 1)) == [], "conv1's output is read by the addition, too"
    assert groups_of(flow, (12, 13)) == [], "the average reads the whole image"
    outputs = [dataclasses.replace(b, pinned_last=b.key == 2) for b in net.buffers()]
    assert groups_of(Flow(net.calls, outputs), (1, 2)) == []
    batch = [dataclasses.replace(b, size=2 * b.size) for b in net.buffers()]
    assert groups_of(Flow(net.calls, batch), (1, 2)) == [], "two images"


@pytest.mark.parametrize(
    ("network", "wide", "arena", "names"),
    [
        (networks.resnet8, 2, 23_616, ["conv2a to add2", "conv3a to add3"]),
        (networks.resnet8, 1, 20_256, ["conv2a to add2", "conv3a to add3"]),
        (networks.ds_cnn, 2, 10_688, []),
        (networks.mobilenet, 2, 29_412, None),
    ],
)
def test_mlperf_tiny(network, wide, arena, names):
    net = network(wide)
    found = fuse(net.calls, net.buffers())
    print(f"{network.__name__}, rings of {8 * wide} bits: {found.unfused:,} B, with groups {found.plan.summary()}")
    assert check(found.problem, found.plan) == []
    assert found.plan.arena == found.plan.lower_bound == arena
    if names is not None:
        assert [group.name for group in found.groups] == names


def test_groups_help_where_head_starts_add_up():
    # Each pointwise convolution needs its input 160 bytes behind its output: too few to raise the bound of a step, but
    # twelve in a row move the tensor by 2 KB, unless groups take the head starts inside.
    net = networks.Network()
    x = net.tensor(16, 16, 16)
    for block in range(12):
        x = net.windowed(f"depthwise{block}", x, (3, 3), 1, 16, wide=2)
        x = net.pointwise(f"pointwise{block}", x, 1, 16)
        net.calls[-1] = dataclasses.replace(net.calls[-1], overlap={x - 1: 160})
        head = net.calls[-2].overlap
        net.calls[-2] = dataclasses.replace(net.calls[-2], overlap=dict.fromkeys(head, 0))
    found = fuse(net.calls, net.buffers())
    assert check(found.problem, found.plan) == []
    print(f"{found.unfused} B without groups, {found.plan.summary()}")
    assert found.groups and found.plan.arena < found.unfused
