"""A synthesis as if it had been done: a recorded result where the real one would be kept."""

import json

from targets.files import write_json
from targets.tvm_fpga.synth.command import plan_of
from targets.tvm_fpga.synth.reports import timing
from targets.tvm_fpga.synth.result import Synthesis
from targets.tvm_fpga.synth.run import KEPT, default_folder, versions
from tests.targets.tvm_fpga.synth.excerpts import REPORT


def record(device, fmax=81.3e6, folder=None):
    """Keep a result for exactly this device's array, part, sources and tools."""
    plan = plan_of(device)
    tools = versions(plan)
    digest = plan.digest(tools)
    _, path, usages = timing(json.dumps(REPORT))
    made = Synthesis(
        plan.part.name, plan.part.clock, fmax, critical_path=path, tools=tools, digest=digest, seconds=9.0, **usages
    )
    place = (folder or default_folder()) / digest
    write_json(place / KEPT, made.as_dict())
    (place / "top.config").write_text("bits")
    return made
