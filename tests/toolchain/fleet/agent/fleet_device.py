"""A device below a temporary folder, and releases of bundles whose runtime does what their ``model.json`` says."""

import contextlib
import hashlib
import io
import json
import os
from pathlib import Path

import zstandard

from toolchain.fleet.agent.keep import read_state
from toolchain.fleet.agent.main import main
from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.documents.release import Delta, Depends, File, Limit, Packed, Release

PRODUCT, CHANNEL = "doorbell", "stable"
#: Stands for ``runtime.pyz``: fast, and told by the bundle how to behave.
RUNTIME = b"""import json, os, sys, time
command, bundle = sys.argv[1], sys.argv[2]
wanted = json.load(open(os.path.join(bundle, "model.json")))
if wanted.get("hang") == command:
    time.sleep(600)
if wanted.get("killed") == command:
    os.kill(os.getpid(), 9)
if wanted.get("greedy") == command:
    try:
        held = bytearray(1 << 30)
    except MemoryError:
        sys.exit("edgewright-runtime: no memory")
if command == "build" and "build" in wanted:
    open(os.path.join(os.environ["EDGEWRIGHT_ENGINES"], "engine"), "w").close()
    sys.exit(wanted["build"])
if command == "verify" and wanted.get("wrong"):
    print("edgewright-runtime: outputs differ from the golden ones", file=sys.stderr)
    sys.exit(6)
if command == "profile":
    out = sys.argv[sys.argv.index("--out") + 1]
    metrics = {"latency_p50": {"value": wanted.get("latency", 0.001), "unit": "s", "kind": "measured"}}
    json.dump({"metrics": metrics}, open(out, "w"))
"""


def contents(number, **behaviour):
    """The files of a bundle: packed path to bytes."""
    import random

    body = random.Random(7).randbytes(30_000)  # the same in all, with a few bytes of its own
    files = {
        "bundle/model.json": json.dumps({"number": number, **behaviour}).encode(),
        "bundle/weights.bin": body[:15_000] + b"version %d" % number + body[15_000:],
        "bundle/labels.txt": b"cat\ndog\n",
        "bundle/golden.npz": b"golden",
    }
    names = {name.removeprefix("bundle/"): hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return {**files, "bundle/manifest.json": json.dumps({"files": names}).encode(), "runtime.pyz": RUNTIME}


def packed(mirror, files, *, old=None, depends=None, budget=(), builds=False, patch=None):
    """The bundle of these files, which lie on the mirror then; ``old`` files are bases of deltas."""
    listed = []
    for path, data in sorted(files.items()):
        deltas = ()
        base = (old or {}).get(path)
        if base is not None and base != data and len(data) > 1000:
            made = (patch or patch_of)(base, data)
            deltas = (Delta(hashlib.sha256(base).hexdigest(), mirror.blob(made)),)
        listed.append(File(path, mirror.blob(data), False, deltas))
    digest = hashlib.sha256(files["bundle/manifest.json"]).hexdigest()
    limits = tuple(Limit(*each) for each in budget)
    return Packed("null", "fp32", digest, depends or Depends("local-cpu"), tuple(listed), limits, builds)


def patch_of(base, data):
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, enable_ldm=True)
    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(data)


def release_of(version, *bundles, **more):
    return Release(PRODUCT, version, f"version {version}", "2026-11-20T00:00:00Z", tuple(bundles), **more)


def plan_of(release, sequence=None, **more):
    values = {"state": "running", "salt": "s", "waves": (Wave("all", percent=100.0),), "open_waves": 1, "soak": 0.0}
    return Plan(PRODUCT, CHANNEL, sequence or release, release, **{**values, **more})


def ship(mirror, version, *, sequence=None, old=None, plan=None, bundle=None, **behaviour):
    """Publish a version and roll it out; gives its files."""
    files = contents(version, **behaviour)
    mirror.release(release_of(version, packed(mirror, files, old=old, **(bundle or {}))))
    mirror.plan(plan_of(version, sequence, **(plan or {})))
    return files


class Device:
    """A device that follows a web server."""

    def __init__(self, home, url, root, **settings):
        self.home, self.folder = home, home / "state"
        home.mkdir(parents=True, exist_ok=True)
        (home / "first-root.json").write_bytes(root)
        self.settings = {
            "device": "bell-1", "product": PRODUCT, "channel": CHANNEL, "repository": url, "folder": "state",
            "public_root": "first-root.json",
        }  # fmt: skip
        self.tables = {"limits": {"patience": 2.0}, "provides": {"device": "local-cpu"}}
        self.configure(**settings)

    def configure(self, **settings):
        for key, value in settings.items():
            (self.tables if isinstance(value, dict) else self.settings)[key] = value
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.settings.items()]
        for name, table in self.tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        (self.home / "agent.toml").write_text("\n".join(lines) + "\n")

    @property
    def config(self):
        return self.home / "agent.toml"

    def call(self, *words):
        """Exit code and what was said, of a command in this process."""
        error, out = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(out):
            code = main([*words, "--config", str(self.config)])
        assert "Traceback" not in error.getvalue()
        return code, out.getvalue() + error.getvalue()

    def once(self, code=0):
        seen, text = self.call("run", "--once")
        assert seen == code, f"one round ended with {seen}, not {code}:\n{text}"
        return text

    @property
    def state(self):
        return read_state(self.folder / "state.json") or State()

    def running(self):
        """The number in the model that an application would read now; 0 for none. Its files must be whole."""
        bundle = self.folder / "current" / "bundle"
        if not bundle.exists():
            return 0
        named = json.loads((bundle / "manifest.json").read_bytes())["files"]
        for name, digest in named.items():
            seen = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
            assert seen == digest, f"{name} of the running release is damaged"
        return json.loads((bundle / "model.json").read_bytes())["number"]

    def whole(self, *versions):
        seen = self.running()
        assert seen in versions, f"version {seen} runs, wanted one of {versions}"
        return seen


def tree(folder: Path):
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }
