"""The device profiles themselves: names, targets, and a source for every number."""

import itertools
import re
import tomllib

import pytest

from profiles.detect import _formats
from profiles.device import DEVICES_DIR, device_names, load_device
from profiles.gpu import GpuState
from profiles.machine import MachineState, matches

NAMES = [
    *("android-arm64", "cortex-m3-an385", "cortex-m33-an505", "cortex-m4-an386", "cortex-m55-an547"),
    *("cortex-m7-an500", "nrf52840", "rp2350", "stm32h743", "stm32l4r5"),
    *("fpga-ecp5-85", "fpga-sim-16x16", "fpga-zynq-7020", "intel-nuc", "jetson-agx-orin", "jetson-orin-nano"),
    *("local-cpu", "raspberry-pi-4", "raspberry-pi-5", "visionfive-2"),
    *("jetson-thor", "rtx-a2000", "rtx-4070", "rtx-5080", "h200"),
]
TARGETS = {"onnxruntime", "openvino", "litert", "tensorrt", "tflite_micro", "tvm_cpu", "tvm_fpga", "pytorch", "null"}
METERS = {"", "rapl", "nvml", "ina3221", "pmic"}
#: Devices with an NVIDIA GPU: its compute capability, who compiles its engines, and whether it has fp8.
GPUS = {
    "jetson-orin-nano": ("8.7", "tensorrt", False),
    "jetson-agx-orin": ("8.7", "tensorrt", False),
    "jetson-thor": ("11.0", "tensorrt", True),
    "rtx-a2000": ("8.6", "tensorrt_rtx", False),
    "rtx-4070": ("8.9", "tensorrt_rtx", True),
    "rtx-5080": ("12.0", "tensorrt_rtx", True),
    "h200": ("9.0", "tensorrt", True),
}
#: CUDA and tensor cores of one multiprocessor, from Ampere's consumer cards on (NVIDIA's architecture white papers).
PER_MULTIPROCESSOR = (128, 4)
#: The plain framework comes last: the baseline beside every other figure.
BASELINE = "pytorch"
ORDER = {
    "local-cpu": ("onnxruntime", "openvino", "litert", "tvm_cpu"),
    "intel-nuc": ("openvino", "onnxruntime", "litert", "tvm_cpu"),
    "raspberry-pi-4": ("litert", "onnxruntime", "openvino", "tvm_cpu"),
    "raspberry-pi-5": ("litert", "onnxruntime", "openvino", "tvm_cpu"),
    "android-arm64": ("litert", "onnxruntime"),
    "visionfive-2": ("tvm_cpu",),
    "fpga-zynq-7020": ("tvm_fpga", "tvm_cpu"),
    **{name: ("tensorrt", "onnxruntime", "litert") for name in GPUS if name.startswith("jetson")},
    **{name: ("tensorrt", "onnxruntime") for name in GPUS if not name.startswith("jetson")},
}
#: Facts from the architecture and the field notes, written down a second time.
FACTS = [
    ("raspberry-pi-4", "cpu.clock", 1.8e9),
    ("raspberry-pi-5", "cpu.clock", 2.4e9),
    ("raspberry-pi-5", "cpu.cores", 4),
    ("jetson-orin-nano", "cpu.cores", 6),
    ("jetson-orin-nano", "ram", 8 * 2**30),
    ("jetson-orin-nano", "parameters.cuda_cores", 1024),
    ("jetson-orin-nano", "parameters.compute_capability", "8.7"),
    ("jetson-agx-orin", "cpu.cores", 12),
    ("jetson-agx-orin", "parameters.cuda_cores", 2048),
    ("jetson-agx-orin", "parameters.dla_cores", 2),
    ("jetson-orin-nano", "parameters.dla_cores", 0),
    ("jetson-thor", "cpu.cores", 14),
    ("jetson-thor", "ram", 128e9),
    ("jetson-thor", "parameters.cuda_cores", 2560),
    ("jetson-thor", "parameters.dla_cores", 0),
    ("rtx-a2000", "ram", 6 * 2**30),
    ("rtx-a2000", "power.tdp", 70.0),
    ("rtx-a2000", "parameters.cuda_cores", 3328),
    ("rtx-a2000", "parameters.memory_bandwidth_gb_per_s", 288),
    ("rtx-4070", "ram", 12 * 2**30),
    ("rtx-4070", "power.tdp", 200.0),
    ("rtx-4070", "parameters.cuda_cores", 5888),
    ("rtx-5080", "ram", 16 * 2**30),
    ("rtx-5080", "power.tdp", 360.0),
    ("rtx-5080", "parameters.cuda_cores", 10752),
    ("h200", "ram", 141e9),
    ("h200", "power.tdp", 700.0),
    ("h200", "parameters.cuda_cores", 16896),
    ("h200", "parameters.memory_bandwidth_gb_per_s", 4800),
    ("cortex-m4-an386", "ram", 20 * 2**20),
    ("cortex-m4-an386", "flash", 4 * 2**20),
    ("cortex-m4-an386", "cpu.clock", 25e6),
    ("cortex-m7-an500", "ram", 20 * 2**20),
    ("cortex-m33-an505", "cpu.clock", 20e6),
    ("cortex-m55-an547", "cpu.clock", 32e6),
    ("cortex-m55-an547", "ram", 512 * 2**10 + 4 * 2**20),
    ("fpga-ecp5-85", "parameters.luts", 84_000),
    ("fpga-ecp5-85", "parameters.multipliers", 156),
    ("fpga-ecp5-85", "parameters.block_rams", 208),
    ("fpga-zynq-7020", "parameters.luts", 53_200),
    ("fpga-zynq-7020", "parameters.multipliers", 220),
    ("fpga-zynq-7020", "parameters.block_rams", 140),
    ("fpga-ecp5-85", "parameters.lanes", 8),
    ("fpga-zynq-7020", "parameters.lanes", 8),
    ("fpga-sim-16x16", "parameters.lanes", 16),
    ("fpga-sim-16x16", "ram", 208 * 2**10),
]
#: Memory maps as the field notes give them.
BASES = {
    "cortex-m4-an386": {"ssram1": 0x0, "ssram23": 0x20000000, "psram": 0x21000000},
    "cortex-m7-an500": {"ssram1": 0x0, "ssram23": 0x20000000, "psram": 0x60000000},
    "cortex-m55-an547": {"itcm": 0x0, "code-sram": 0x01000000, "dtcm": 0x20000000, "sram": 0x21000000},
}
_WORDS_ONLY = {"name", "title", "targets", "reach", "formats", "detect", "identity", "sources"}
#: Not numbers, but claims that a kernel is chosen by, or an instrument.
_CLAIMS = {"cpu.isa", "cpu.features", "power.meter", "power.rails"}


def raw(name):
    return tomllib.loads((DEVICES_DIR / f"{name}.toml").read_text(encoding="utf-8"))


def leaves(value, path):
    """Dotted paths and values; a memory is called by its name, a list of plain values is one leaf."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for entry in value:
            yield from leaves({k: v for k, v in entry.items() if k != "name"}, f"{path}.{entry['name']}")
    else:
        yield path, value


def numbers(name):
    """Paths of all numbers of a profile: TOML numbers, quantities, and everything in [parameters]."""
    content = {key: value for key, value in raw(name).items() if key not in _WORDS_ONLY}
    for path, value in leaves(content, ""):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_quantity = isinstance(value, str) and re.match(r"[\d.]+(\s|$)", value)
        if is_number or is_quantity or path.startswith("parameters."):
            yield path


def fact(device, path):
    if path in ("ram", "flash"):
        return device.memory(path)
    table, _, key = path.partition(".")
    part = getattr(device, table)
    return part[key] if table == "parameters" else getattr(part, key)


def test_the_profiles_of_this_release_and_no_others():
    assert device_names() == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_loads_under_the_name_of_its_file(name):
    device = load_device(name)
    assert device.name == name
    assert len(device.title) > 5, "a title is for people"


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_spelled_as_in_the_architecture(name):
    targets = load_device(name).targets
    assert targets, f"{name} is served by nothing"
    assert set(targets) <= TARGETS, f"{name}: {set(targets) - TARGETS} is no target"
    assert len(set(targets)) == len(targets), f"{name} lists a target twice"


@pytest.mark.parametrize(("name", "targets"), ORDER.items())
def test_the_best_target_comes_first(name, targets):
    listed = load_device(name).targets
    assert tuple(target for target in listed if target != BASELINE) == targets
    assert BASELINE not in listed or listed[-1] == BASELINE


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("cortex", "fpga"))])
def test_boards_name_the_target_that_will_serve_them(name):
    first, *others = load_device(name).targets
    assert first == ("tflite_micro" if name.startswith("cortex") else "tvm_fpga")
    assert set(others) <= {"tvm_cpu"}, "processors beside the fabric have no other engine"


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name):
    sources = load_device(name).sources
    missing = [path for path in numbers(name) if path not in sources]
    assert not missing, f"{name}: no source for {', '.join(missing)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_of_a_feature_has_a_source(name):
    given = {path for path, value in leaves(raw(name), "") if path in _CLAIMS and value}
    missing = given - set(load_device(name).sources)
    assert not missing, f"{name}: no source for {', '.join(sorted(missing))}"


def test_the_search_for_numbers_finds_them():
    found = set(numbers("cortex-m4-an386"))
    assert {"cpu.clock", "cpu.cores", "memory.psram.size", "memory.psram.base"} <= found
    assert {"power.tdp", "parameters.gpu_clock", "parameters.cuda_cores"} <= set(numbers("jetson-orin-nano"))
    assert "cpu.isa" not in found


@pytest.mark.parametrize("name", NAMES)
def test_every_source_belongs_to_something(name):
    paths = {path for path, _ in leaves({k: v for k, v in raw(name).items() if k != "sources"}, "")}
    orphans = set(raw(name).get("sources", {})) - paths
    assert not orphans, f"{name}: sources for what is not there: {', '.join(sorted(orphans))}"


@pytest.mark.parametrize("name", NAMES)
def test_a_source_names_a_document_and_a_place_in_it(name):
    for path, source in load_device(name).sources.items():
        names_a_place = re.search(r"https://|/proc/|/sys/|section|table|[:,;(]", source)
        assert len(source) >= 20, f"{name}, {path}: {source!r} is too short to find again"
        assert names_a_place, f"{name}, {path}: {source!r} names no place"


@pytest.mark.parametrize("name", NAMES)
def test_machines_that_can_be_logged_into_can_be_told_apart(name):
    device = load_device(name)
    if device.reach in ("local", "ssh"):
        assert device.identity.arch == device.cpu.arch, f"{name}: a machine of another architecture is not this one"
    if device.reach == "ssh":
        assert device.identity.model_contains, f"{name}: any {device.cpu.arch} machine would pass for it"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("raspberry-pi-4", "Raspberry Pi 4 Model B Rev 1.4"),
        ("raspberry-pi-5", "Raspberry Pi 5 Model B Rev 1.0"),
        ("jetson-orin-nano", "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"),
        ("jetson-agx-orin", "NVIDIA Jetson AGX Orin Developer Kit"),
        ("jetson-thor", "NVIDIA Jetson AGX Thor Developer Kit"),
        ("intel-nuc", "12th Gen Intel(R) Core(TM) i5-1240P"),
        ("fpga-zynq-7020", "xlnx,zynq-7000"),
        ("android-arm64", "Google Pixel 7"),
    ],
)
def test_a_model_name_fits_one_profile(name, model):
    remote = [device for device in map(load_device, NAMES) if device.reach == "ssh"]
    state = MachineState(load_device(name).cpu.arch, device_model=model)
    assert [device.name for device in remote if matches(device.identity, state)] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_formats_follow_from_the_features_unless_there_is_a_gpu_or_fabric(name):
    device = load_device(name)
    if name in GPUS:
        eight = ("fp8",) if GPUS[name][2] else ()
        assert device.formats == ("fp32", "bf16", "fp16", *eight, "int8", "int4"), (
            "fp8 from Ada on, the rest from Ampere"
        )
    elif device.cpu.arch == "fpga":
        assert device.formats == ("int8",)
    else:
        half = ["fp16"] if "mve" in device.cpu.features else []
        assert list(device.formats) == _formats([*device.cpu.features, *half])


def test_devices_with_a_gpu_are_those_that_tensorrt_serves():
    assert {name for name in NAMES if "tensorrt" in load_device(name).targets} == set(GPUS)


@pytest.mark.parametrize(("name", "gpu"), GPUS.items())
def test_gpus_say_how_their_engines_are_built(name, gpu):
    parameters = load_device(name).parameters
    assert (parameters["compute_capability"], parameters["library"]) == gpu[:2]
    ahead = parameters["library"] == "tensorrt_rtx"
    assert parameters.get("engines_for") == ([gpu[0]] if ahead else None), "only TensorRT-RTX takes several"
    assert parameters["batches"] == [1]
    assert parameters["optimization_level"] in range(6)
    assert -1 <= parameters["dla_core"] < max(1, parameters["dla_cores"])
    assert parameters["placement"] in ("default", "search")
    assert parameters["sparse_weights"] is False
    assert parameters["workspace"] == ""


@pytest.mark.parametrize("name", GPUS)
def test_a_choice_is_not_passed_off_as_a_fact(name):
    """Switches name no document; what was not read in one says so."""
    sources = load_device(name).sources
    switches = ("library", "batches", "optimization_level", "sparse_weights", "dla_core", "workspace", "placement")
    chosen = {path for path, source in sources.items() if source.startswith("a choice of this profile: ")}
    assert {f"parameters.{switch}" for switch in switches} <= chosen
    facts = {"cpu", "memory", "power"} & {path.partition(".")[0] for path in chosen}
    assert not facts, f"{name}: {', '.join(facts)} cannot be chosen"


@pytest.mark.parametrize("name", GPUS)
def test_cores_are_those_of_whole_multiprocessors(name):
    parameters = load_device(name).parameters
    cuda, tensor = PER_MULTIPROCESSOR
    assert parameters["cuda_cores"] % cuda == 0
    if "tensor_cores" in parameters:
        assert parameters["tensor_cores"] / tensor == parameters["cuda_cores"] / cuda, (
            "as many of the one as of the other"
        )


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("rtx-a2000", "NVIDIA RTX A2000"),
        ("rtx-4070", "NVIDIA GeForce RTX 4070"),
        ("rtx-5080", "NVIDIA GeForce RTX 5080"),
        ("h200", "NVIDIA H200"),
        (None, "NVIDIA RTX A2000 12GB"),
        (None, "NVIDIA GeForce RTX 4070 SUPER"),
        (None, "NVIDIA GeForce RTX 5080 Laptop GPU"),
        (None, "NVIDIA H200 NVL"),
    ],
)
def test_a_gpus_name_fits_one_profile(name, gpu):
    remote = [device for device in map(load_device, NAMES) if device.reach == "ssh"]
    state = MachineState("x86_64", cpu_model="AMD Ryzen 9", gpus=(GpuState(gpu),))
    fitting = [device.name for device in remote if matches(device.identity, state)]
    assert fitting == ([name] if name else []), f"{gpu} is taken for {fitting}"


@pytest.mark.parametrize("name", NAMES)
def test_meters_are_those_that_exist(name):
    device = load_device(name)
    assert device.power.meter in METERS
    if device.power.meter == "ina3221":
        assert device.power.rails, "the INA3221 meter adds up the rails that are named"


@pytest.mark.parametrize("name", NAMES)
def test_memories_have_names_of_their_own_and_do_not_overlap(name):
    memories = load_device(name).memories
    assert len({memory.name for memory in memories}) == len(memories)
    placed = sorted((memory.base, memory.size, memory.name) for memory in memories if memory.base is not None)
    for (base, size, lower), (above, _, upper) in itertools.pairwise(placed):
        assert base + size <= above, f"{name}: {lower} reaches into {upper}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("cortex-m")])
def test_boards_under_qemu_say_which_machine_and_where_memory_lies(name):
    device = load_device(name)
    assert device.reach == "qemu"
    assert device.parameters["qemu_machine"].endswith(name.rpartition("-")[2]), "the application note is in both names"
    assert device.parameters["mcpu"] == name.rpartition("-")[0]
    assert all(memory.base is not None for memory in device.memories)
    assert any(memory.base == 0 and memory.kind == "flash" for memory in device.memories), "vectors are read from 0"


@pytest.mark.parametrize(("name", "bases"), BASES.items())
def test_memory_maps_are_those_of_the_field_notes(name, bases):
    assert {memory.name: memory.base for memory in load_device(name).memories} == bases


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("fpga") and "-sim-" not in name])
def test_block_ram_is_as_large_as_its_blocks_together(name):
    device = load_device(name)
    memory = next(memory for memory in device.memories if memory.name == "block-ram")
    assert memory.size == device.parameters["block_rams"] * device.parameters["block_ram_bits"] / 8


@pytest.mark.parametrize(("name", "path", "value"), FACTS)
def test_facts(name, path, value):
    assert fact(load_device(name), path) == value
