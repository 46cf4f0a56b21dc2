"""Hardware detection on recorded /proc and /sys trees."""

import platform

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.detect import FLAGS, X86_LEVELS, detect_hardware
from profiles.device import FEATURES, device_from_dict, load_device
from profiles.machine import MachineState, matches, snapshot

AVX2 = """fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht
    syscall nx pdpe1gb rdtscp lm constant_tsc rep_good nopl xtopology cpuid pni pclmulqdq ssse3 fma cx16 pcid sse4_1
    sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand hypervisor lahf_lm abm 3dnowprefetch fsgsbase bmi1 avx2 smep
    bmi2 erms rdseed adx smap clflushopt xsaveopt xsavec xgetbv1 xsaves arat md_clear arch_capabilities"""
ZEN5 = """avx512f avx512dq avx512ifma avx512cd sha_ni avx512bw avx512vl avx_vnni avx512_bf16 avx512vbmi avx512_vbmi2
    gfni vaes vpclmulqdq avx512_vnni avx512_bitalg avx512_vpopcntdq avx512_vp2intersect"""
SAPPHIRE_RAPIDS = (
    "avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8"
)
CORTEX_A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
CORTEX_A72 = "fp asimd evtstrm crc32 cpuid"
NEOVERSE_V1 = f"{CORTEX_A76} sve asimdfhm i8mm bf16 dgh rng"
CORTEX_A9 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpd32"


def x86(flags, model, cores):
    """Blocks of /proc/cpuinfo; ``cores`` lists (package, core) of each processor."""
    return "".join(
        f"processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: {model}\ncpu MHz\t\t: 2596.122\n"
        f"physical id\t: {package}\ncore id\t\t: {core}\nflags\t\t: {' '.join(flags.split())}\n"
        f"bugs\t\t: spectre_v1 spectre_v2\n\n"
        for number, (package, core) in enumerate(cores)
    )


def arm(flags, processors, architecture=8, part="0xd0b", board=""):
    each = [flags] * processors if isinstance(flags, str) else flags
    blocks = "".join(
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: {architecture}\nCPU variant\t: 0x4\nCPU part\t: {part}\nCPU revision\t: 1\n\n"
        for number, features in enumerate(each)
    )
    return blocks + board


def meminfo(kib):
    return f"MemTotal:       {kib} kB\nMemFree:        1000 kB\nMemAvailable:   2000 kB\n"


@pytest.fixture
def tree(tmp_path):
    def build(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return build


def device_of(root):
    """The tree as a device: what was found has to pass the same checks as a profile."""
    return device_from_dict({"name": "x", "title": "X", "targets": [], **detect_hardware(root)}, where="x")


def test_x86_with_vnni_and_bf16(tree):
    cpuinfo = x86(f"{AVX2} {ZEN5}", "AMD EPYC", [(0, 0), (0, 1)])
    device = device_of(tree({"proc/cpuinfo": cpuinfo, "proc/meminfo": meminfo(24684092)}))
    assert (device.cpu.arch, device.cpu.isa, device.cpu.cores) == ("x86_64", "x86-64-v4", 2)
    assert device.cpu.features == ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16")
    assert device.formats == ("fp32", "bf16", "int8")
    assert device.memory("ram") == 24684092 * 1024, "the kernel's kB are KiB"
    assert (device.identity.arch, device.identity.model_contains) == ("x86_64", ("AMD EPYC",))


def test_the_clock_of_the_moment_is_not_taken_for_the_highest_one(tree):
    device = device_of(tree({"proc/cpuinfo": x86(AVX2, "AMD EPYC", [(0, 0)])}))
    assert device.cpu.clock is None, "cpu MHz in /proc/cpuinfo is not an upper limit"
    assert "cpu.clock" not in device.sources


def test_x86_with_avx2_only(tree):
    cpuinfo = x86(AVX2, "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", [(0, core) for core in range(6)] * 2)
    device = device_of(tree({"proc/cpuinfo": cpuinfo}))
    assert (device.cpu.isa, device.cpu.features, device.formats) == ("x86-64-v3", ("avx2",), ("fp32", "int8"))
    assert device.cpu.cores == 6, "two threads of one core are one core"


def test_x86_with_amx_and_fp16(tree):
    cpuinfo = x86(f"{AVX2} {SAPPHIRE_RAPIDS}", "Intel(R) Xeon(R) Platinum 8480+", [(0, 0), (1, 0)])
    device = device_of(tree({"proc/cpuinfo": cpuinfo}))
    assert set(device.cpu.features) >= {"amx_int8", "amx_bf16", "avx512_fp16", "avx512_bf16"}
    assert device.formats == ("fp32", "bf16", "fp16", "int8")
    assert device.cpu.cores == 2, "core 0 of two packages are two cores"


def test_an_intel_nuc_is_recognised_by_its_profile(tree):
    threads = [(0, core) for core in (0, 0, 4, 4, 8, 8, 12, 12, *range(16, 24))]
    model = "12th Gen Intel(R) Core(TM) i5-1240P"
    clocks = {f"sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq": "4400000\n" for n in range(8)}
    clocks |= {f"sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq": "3300000\n" for n in range(8, 16)}
    found = device_of(tree({"proc/cpuinfo": x86(f"{AVX2} avx_vnni", model, threads), **clocks}))
    profile = load_device("intel-nuc")
    assert found.cpu == profile.cpu
    assert found.formats == profile.formats
    assert matches(profile.identity, MachineState("x86_64", cpu_model=model))


def test_a_raspberry_pi_5_is_recognised_by_its_profile(tree):
    model = "Raspberry Pi 5 Model B Rev 1.0"
    board = f"Revision\t: c04170\nSerial\t\t: 6d2a203ab740f1f5\nModel\t\t: {model}\n"
    root = tree(
        {
            "proc/cpuinfo": arm(CORTEX_A76, 4, board=board),
            "proc/meminfo": meminfo(8245008),
            "proc/device-tree/model": f"{model}\0",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
        }
    )
    found, profile = device_of(root), load_device("raspberry-pi-5")
    assert found.cpu.isa == "armv8-a", "the kernel does not tell the minor version"
    assert (found.cpu.arch, found.cpu.cores, found.cpu.clock) == ("aarch64", 4, 2.4e9)
    assert (found.cpu.features, found.formats) == (profile.cpu.features, profile.formats)
    assert (profile.cpu.cores, profile.cpu.clock) == (found.cpu.cores, found.cpu.clock)
    assert found.identity.model_contains == (model,)
    assert matches(profile.identity, MachineState("aarch64", device_model=model))
    assert 0.9 * profile.memory("ram") < found.memory("ram") < profile.memory("ram"), "the firmware keeps some memory"


def test_the_serial_number_stays_out(tree):
    root = tree({"proc/cpuinfo": arm(CORTEX_A76, 1, board="Serial\t\t: 6d2a203ab740f1f5\nModel\t\t: A board\n")})
    assert "6d2a203ab740f1f5" not in repr(detect_hardware(root))


def test_a_raspberry_pi_4_has_neither_dot_product_nor_fp16(tree):
    device = device_of(tree({"proc/cpuinfo": arm(CORTEX_A72, 4, board="Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n")}))
    profile = load_device("raspberry-pi-4")
    assert (
        (device.cpu.features, device.formats)
        == (profile.cpu.features, profile.formats)
        == (("neon",), ("fp32", "int8"))
    )


def test_a_newer_arm_server(tree):
    device = device_of(tree({"proc/cpuinfo": arm(NEOVERSE_V1, 2, part="0xd40")}))
    assert device.cpu.features == ("neon", "fp16", "dotprod", "i8mm", "bf16", "sve")
    assert device.formats == ("fp32", "bf16", "fp16", "int8")
    assert device.identity.model_contains == ("Neoverse-V1",), "no board is named, so the kind of core is"


def test_a_zynq_is_32_bit_and_recognised_by_its_profile(tree):
    cpuinfo = arm(CORTEX_A9, 2, architecture=7, part="0xc09", board="Hardware\t: Xilinx Zynq Platform\n")
    found, profile = device_of(tree({"proc/cpuinfo": cpuinfo})), load_device("fpga-zynq-7020")
    facts = ("armv7l", "armv7-a", ("neon",), 2)
    assert (found.cpu.arch, found.cpu.isa, found.cpu.features, found.cpu.cores) == facts
    assert (profile.cpu.arch, profile.cpu.isa, profile.cpu.features, profile.cpu.cores) == facts
    assert found.identity.model_contains == ("Xilinx Zynq Platform",)
    assert matches(profile.identity, MachineState("armv7l", device_model="xlnx,zynq-7000"))


def test_a_feature_counts_only_where_every_core_has_it(tree):
    little, big = CORTEX_A72, CORTEX_A76
    device = device_of(tree({"proc/cpuinfo": arm([little] * 4 + [big] * 4, 8)}))
    assert (device.cpu.cores, device.cpu.features) == (8, ("neon",))


def test_the_highest_clock_of_all_clusters(tree):
    clocks = {"cpu0": "1803000\n", "cpu4": "2348000\n", "cpu7": "2850000\n", "cpu8": "unreadable\n"}
    files = {f"sys/devices/system/cpu/{cpu}/cpufreq/cpuinfo_max_freq": text for cpu, text in clocks.items()}
    assert device_of(tree({"proc/cpuinfo": arm(CORTEX_A76, 8), **files})).cpu.clock == 2.85e9


@pytest.mark.parametrize(("zone", "meter"), [("package-0", "rapl"), ("psys", ""), ("dram", "")])
def test_rapl_needs_a_package(tree, zone, meter):
    root = tree({"proc/cpuinfo": x86(AVX2, "x", [(0, 0)]), "sys/class/powercap/intel-rapl:0/name": f"{zone}\n"})
    assert device_of(root).power.meter == meter


def test_every_finding_says_where_it_was_read(tree):
    root = tree(
        {
            "proc/cpuinfo": arm(CORTEX_A76, 4),
            "proc/meminfo": meminfo(8245008),
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
        }
    )
    sources = detect_hardware(root)["sources"]
    assert sources["cpu.cores"] == "read from this machine: /proc/cpuinfo"
    assert "cpuinfo_max_freq" in sources["cpu.clock"]
    assert "MemTotal" in sources["memory.ram.size"]


@pytest.mark.parametrize("files", [{}, {"proc/cpuinfo": ""}, {"proc/cpuinfo": "processor\t: 0\nhart\t: 1\n"}])
def test_without_flags_only_the_architecture_is_known(tree, monkeypatch, files):
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    data = detect_hardware(tree(files))
    assert data["cpu"]["arch"] == "aarch64", "one architecture has one spelling"
    assert data["sources"]["cpu.arch"] == "read from this machine: platform.machine()"
    assert not {"isa", "features", "clock"} & set(data["cpu"]), "nothing may be guessed"
    assert "memory" not in data
    assert "model_contains" not in data["identity"]


@pytest.mark.parametrize("line", ["MemTotal:\n", "MemTotal:  many kB\n", "MemTotal: 5\n", "SwapTotal: 5 kB\n"])
def test_a_memory_size_that_cannot_be_read_is_left_out(tree, line):
    assert "memory" not in detect_hardware(tree({"proc/meminfo": line}))


def test_files_that_are_no_text_do_no_harm(tree):
    root = tree({"proc/cpuinfo": ""})
    (root / "proc/cpuinfo").write_bytes(bytes(range(256)))
    assert detect_hardware(root)["cpu"]["arch"]


def test_a_folder_in_place_of_a_file_does_no_harm(tmp_path):
    (tmp_path / "proc/cpuinfo").mkdir(parents=True)
    assert detect_hardware(tmp_path)["cpu"]["arch"]


def test_this_machine_becomes_local_cpu():
    device = load_device("local-cpu")
    assert device.reach == "local"
    assert device.cpu.arch in ("x86_64", "aarch64", platform.machine())
    assert {"fp32", "int8"} <= set(device.formats)
    assert device.memory("ram") is None or device.memory("ram") > 2**20


def test_this_machine_is_recognised_as_local_cpu():
    assert matches(load_device("local-cpu").identity, snapshot()), "else nothing measured here would count as measured"


@pytest.mark.parametrize("names", [{"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}, {}])
def test_any_machine_is_recognised_by_what_was_detected_on_it(tree, names):
    board = "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n"
    root = tree({"proc/cpuinfo": arm(CORTEX_A76, 4, board=board), "proc/sys/kernel/arch": "aarch64\n", **names})
    assert matches(device_of(root).identity, snapshot(root, run=lambda _: "throttled=0x0"))


def test_reading_twice_gives_the_same_device():
    assert load_device("local-cpu") == load_device("local-cpu"), "a cache key is made from it"


def test_every_name_that_detection_gives_is_one_that_profiles_may_use():
    assert set(FLAGS.values()) <= set(FEATURES)


LEVEL_FLAGS = sorted(frozenset.union(*X86_LEVELS.values()))


@pytest.mark.parametrize("missing", LEVEL_FLAGS)
def test_a_level_needs_all_of_its_flags_and_those_below(tree, missing):
    flags = " ".join({"lm", *LEVEL_FLAGS} - {missing})
    levels = ["x86-64", *X86_LEVELS]
    below = next(levels[levels.index(name) - 1] for name, needed in X86_LEVELS.items() if missing in needed)
    assert detect_hardware(tree({"proc/cpuinfo": x86(flags, "x", [(0, 0)])}))["cpu"]["isa"] == below


@settings(deadline=None)
@given(st.sets(st.sampled_from(sorted(FLAGS))), st.sampled_from(["flags", "Features"]))
def test_flags_and_features_agree(tmp_path_factory, flags, word):
    root = tmp_path_factory.mktemp("root")
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(f"processor\t: 0\nCPU architecture: 8\n{word}\t: lm {' '.join(flags)}\n")
    data = detect_hardware(root)
    assert set(data["cpu"].get("features", [])) == {FLAGS[flag] for flag in flags}
    assert ("bf16" in data["formats"]) == bool(flags & {"bf16", "avx512_bf16", "amx_bf16"})
    assert ("fp16" in data["formats"]) == bool(flags & {"asimdhp", "avx512_fp16"})
    assert data["formats"][0] == "fp32"
    assert data["formats"][-1] == "int8"


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("processor flags Features:core id\n\t0123456789²٣"), max_size=200))
def test_no_text_makes_detection_fail(tmp_path_factory, text):
    root = tmp_path_factory.mktemp("root")
    clock = root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
    for path in (root / "proc/cpuinfo", root / "proc/meminfo", clock):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"MemTotal: {text}", encoding="utf-8")
    clock.write_text(text, encoding="utf-8")
    device_of(root)
