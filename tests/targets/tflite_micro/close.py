"""Runs one-operator models with the input as close behind the output as their call allows."""

import dataclasses
import os
import subprocess

import harness


def check_close(model: bytes, count=6) -> None:
    """Assert that the result is still the reference's; the call may have scratch and variables."""
    program = harness.program_of(model)
    (call,) = program.calls
    ((source, ahead),) = call.overlap.items()
    (target,) = program.graph.outputs
    free = program.arena
    offsets = {**program.offsets, source: free + max(ahead, 0), target: free + max(-ahead, 0)}
    end = max(offsets[key] + program.graph.tensor(key).bytes for key in (source, target))
    after = -(-end // 16) * 16
    layers = tuple(dataclasses.replace(layer, scratch=after) for layer in program.layers)
    placed = dataclasses.replace(program, layers=layers, offsets=offsets, arena=after + call.scratch)
    samples = harness.random_samples(model, count)
    given = b"".join(values.tobytes() for sample in samples for values in sample)
    binary, env = harness._host_binary(placed, "portable", True), {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([binary, str(count)], input=given, capture_output=True, check=False, timeout=60, env=env)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    problem = harness.difference(harness.reference(model, samples), harness._split(placed, done.stdout, count))
    assert not problem, f"with the input {ahead} bytes behind the output: {problem}"
