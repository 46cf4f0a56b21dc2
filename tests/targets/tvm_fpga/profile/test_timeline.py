"""The timeline is a valid Chrome trace: events have the format's fields, no two slices of a track overlap."""

import json

import pytest

from profiles.errors import UnsupportedError
from targets.tvm_fpga.account import account
from targets.tvm_fpga.compiler.compile import compile_region, run_program, simulated
from targets.tvm_fpga.isa import Op
from targets.tvm_fpga.resources import Clock
from targets.tvm_fpga.rtl.simulate import Memory
from targets.tvm_fpga.timeline import TRACKS, timeline
from tests.targets.tvm_fpga.networks import dscnn, random_inputs
from tests.targets.tvm_fpga.regions import random_region

CLOCK = Clock(123.456e6, "123.5 MHz, nominal")
#: Fields that an event of a phase must have, and their types: "Trace Event Format" (Google, 2016).
FIELDS = {
    "X": {"name": str, "cat": str, "pid": int, "tid": int, "ts": float, "dur": float, "args": dict},
    "M": {"name": str, "pid": int, "tid": int, "args": dict},
    "C": {"name": str, "pid": int, "ts": float, "args": dict},
}


def _runs(regions, array, memory):
    geometry, simulator = array
    programs, runs = {}, {}
    for number, region in enumerate(regions):
        programs[f"r{number}"] = compile_region(region, geometry, proven=False)
        executor = simulated(simulator, memory)
        runs[f"r{number}"] = run_program(programs[f"r{number}"], random_inputs(region), executor)[1]
    return programs, runs


def _valid(trace):
    """Every event as the format has it, names for process and tracks."""
    assert set(trace) == {"traceEvents", "displayTimeUnit", "otherData"} and trace["displayTimeUnit"] in ("ms", "ns")
    for event in trace["traceEvents"]:
        for name, kind in FIELDS[event["ph"]].items():
            value = float(event[name]) if kind is float else event[name]
            assert isinstance(value, kind), f"'{name}' of {event} is no {kind.__name__}"
        assert event.get("ts", 0) >= 0 and event.get("dur", 1) > 0, f"{event} is not in time"
        if event["ph"] == "C":
            assert all(0 <= value <= 100 for value in event["args"].values()), f"{event} is no share in percent"
    named = {event["tid"]: event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
    assert named == {number: name for name, number in TRACKS.items()}
    assert sum(event["name"] == "process_name" for event in trace["traceEvents"]) == 1


def _slices(trace, track):
    return [each for each in trace["traceEvents"] if each["ph"] == "X" and each["tid"] == TRACKS[track]]


def _one_after_the_other(trace, cycles, cycle):
    """In nanoseconds too, which is what Perfetto counts in."""
    for track in TRACKS:
        end = nanos = 0
        for each in _slices(trace, track):
            start, until = each["ts"], each["ts"] + each["dur"]
            assert start >= end - 1e-6, f"{each} begins before {end} on '{track}'"
            assert int(start * 1000 + 1e-6) >= nanos, f"{each} overlaps on '{track}' in nanoseconds"
            assert each["args"]["cycle"] * cycle == pytest.approx(start, abs=1e-5)
            assert each["args"]["cycles"] * cycle == pytest.approx(each["dur"], abs=1e-5)
            end, nanos = until, int(start * 1000 + 1e-6) + int(each["dur"] * 1000 + 1e-6)
        assert end <= cycles * cycle + 1e-5, f"'{track}' goes on after the end"


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_give_valid_traces(small_array, seed):
    try:
        programs, runs = _runs(
            [random_region(seed, 3, 10)], small_array, Memory(latency=1 + 30 * seed, stalls=20 * seed)
        )
    except UnsupportedError as error:
        pytest.skip(f"does not fit into this array: {error.wanted}")
    trace = json.loads(timeline(programs, runs, CLOCK))
    _valid(trace)
    _one_after_the_other(trace, runs["r0"].cycles, 1e6 / CLOCK.hertz)


def test_every_instruction_and_every_layer_has_its_slice(usual_array):
    programs, runs = _runs([dscnn()], usual_array, Memory())
    program, run = programs["r0"], runs["r0"]
    trace = json.loads(timeline(programs, runs, CLOCK))
    for op in (Op.LOAD, Op.STORE, Op.COMPUTE):
        track = op.name.lower()
        work = [each for each in _slices(trace, track) if each["cat"] == track]
        assert len(work) == len(program.of(op)), f"a slice for each {op.name}"
    layers = {each["name"]: each["args"]["cycles"] for each in _slices(trace, "layers")}
    assert layers == {name: spent.cycles for name, spent in account(program, run).items()}, "as in the profile"
    moved = sum(each["args"].get("bytes", 0) for each in _slices(trace, "load"))
    assert moved == sum(spent.loaded for spent in account(program, run).values())
    waits = [each for each in _slices(trace, "compute") if each["cat"] == "wait"]
    assert waits and waits[0]["ts"] == 0 and waits[0]["name"] == "waits for load", "the first thing is to wait"
    assert trace["otherData"]["clock"] == CLOCK.words and trace["otherData"]["cycles"] == run.cycles


def test_regions_follow_each_other_and_a_cycle_is_a_microsecond_without_a_clock(usual_array):
    programs, runs = _runs([dscnn(), dscnn()], usual_array, Memory())
    trace = json.loads(timeline(programs, runs, None))
    _valid(trace)
    total = sum(run.cycles for run in runs.values())
    _one_after_the_other(trace, total, 1.0)
    ends = [each["ts"] + each["dur"] for each in _slices(trace, "layers")]
    assert ends[-1] == total and "cycle" in trace["otherData"]["clock"]
    assert {each["ts"] for each in _slices(trace, "layers")} >= {0.0, float(runs["r0"].cycles)}


def test_the_port_is_busy_for_as_long_as_beats_were_counted(usual_array):
    programs, runs = _runs([dscnn()], usual_array, Memory())
    trace = json.loads(timeline(programs, runs, None))
    steps = [(each["ts"], each["args"]["read %"]) for each in trace["traceEvents"] if each["name"] == "port"]
    ends = [at for at, _ in steps[1:]] + [runs["r0"].cycles]
    area = sum(value / 100 * (end - at) for (at, value), end in zip(steps, ends, strict=True))
    assert area == pytest.approx(runs["r0"].read_beats, rel=0.01), "the area below the counter is the beats"
