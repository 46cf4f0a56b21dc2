"""A compiler that needs no GPU, for the tests of the engine store: its engines say what they were built from."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from pathlib import Path

from targets.tensorrt.gpu.gpu import Gpu
from targets.tensorrt.plan import BuildPlan
from targets.tensorrt.store.engine_store import Tools, engine_for

GPU = Gpu("Orin", "8.7", "540.4.0", "12.6", 8 << 30)
PLAN = BuildPlan("tensorrt", "int8", ("8.7",), batches=(1, 8))
MODEL = b"a graph"


@dataclasses.dataclass(frozen=True)
class Built:
    engine: bytes
    timing_cache: bytes
    notes: tuple[str, ...] = ()


class Compiler:
    """Counts its builds, and remembers which timing caches it was given."""

    def __init__(self, version: str = "10.3.0") -> None:
        self.version = version
        self.caches: list[bytes] = []
        self.plans: list[BuildPlan] = []
        self.inside = 0
        self.most_inside = 0
        self.gate: threading.Event | None = None
        self.started = threading.Event()

    @property
    def builds(self) -> int:
        return len(self.caches)

    def build(self, onnx: bytes, plan: BuildPlan, batch: int, *, timing_cache: bytes = b"") -> Built:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.caches.append(timing_cache)
        self.plans.append(plan)
        self.started.set()
        if self.gate:
            assert self.gate.wait(20), "the test forgot to open the gate"
        self.inside -= 1
        what = hashlib.sha256(onnx).hexdigest()
        engine = f"engine {self.builds} of {what}, batch {batch}, {plan.digest()}, {self.version}".encode()
        return Built(engine, timing_cache + b"+", ("a note",))


class Shelf:
    """One bundle, one engine folder, and what was told."""

    def __init__(self, base: Path) -> None:
        self.root, self.folder = base / "engines", base / "bundle"
        self.folder.mkdir()
        (self.folder / "model.onnx").write_bytes(MODEL)
        (self.folder / "batch8.onnx").write_bytes(MODEL + b" of eight")
        self.compiler = Compiler()
        self.told: list[str] = []

    def get(self, *, plan: BuildPlan = PLAN, gpu: Gpu = GPU, batch: int = 1, compiler: Compiler | None = None, **more):
        used = compiler or self.compiler
        tools = Tools(used.build, lambda name: used.version)
        return engine_for(self.folder, plan, batch, gpu, root=self.root, progress=self.told.append, tools=tools, **more)

    def reason(self) -> str:
        """Why the last build was made."""
        return next(text for text in reversed(self.told) if text.startswith("compiling: ")).removeprefix("compiling: ")
