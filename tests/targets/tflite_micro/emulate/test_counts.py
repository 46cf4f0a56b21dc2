"""Counting instructions: against loops whose instructions are known, against SysTick, and against a disassembler."""

import ctypes
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from stub_build import DEVICES, built

from profiles.device import load_device
from targets.tflite_micro.emulate import counts
from targets.tflite_micro.emulate.counts import Tally, count
from targets.tflite_micro.emulate.session import emulate

HERE = Path(__file__).parent
SIZE = 64
TIMES = 1000
#: Per round of the three loops of spin.c.
SCALAR = [
    {"load": 2, "store": 1, "mul": 1, "mul_long": 1, "alu": 1, "branch": 1, "paired": 1, "taken": 1},
    {"multiple": 2, "words": 6, "alu": 2, "div": 1, "branch": 3, "taken": 2},
]
FP = {"load": 1, "store": 1, "fp": 2, "fp_div": 1, "alu": 1, "branch": 1, "taken": 1}
MVE = {"mve_load": 2, "mve": 5, "mve_store": 1, "loop": 1}


def spun(name, times):
    firmware = built(name, HERE / "counted" / "spin.c", (f"STUB_BYTES={SIZE}",))
    return count(firmware, load_device(name), [bytes(SIZE), times.to_bytes(4, "little")])


@pytest.mark.parametrize("name", DEVICES)
def test_loops_have_the_instructions_that_they_have(name):
    """The difference between two lengths leaves nothing but the loop."""
    short, long = spun(name, TIMES), spun(name, 3 * TIMES)
    last = MVE if name == "cortex-m55-an547" else FP if name != "cortex-m3-an385" else {}
    for wanted, less, more in zip([*SCALAR, last], short.layers, long.layers, strict=True):
        seen = {key: more.classes.get(key, 0) - less.classes.get(key, 0) for key in {*more.classes, *less.classes}}
        assert {key: n / (2 * TIMES) for key, n in seen.items() if n} == wanted, name
    per_round = sum(n for loop in [*SCALAR, last] for key, n in loop.items() if key not in ("words", "paired", "taken"))
    assert long.run.total - short.run.total == 2 * TIMES * per_round
    assert (long.run.mve or 0) - (short.run.mve or 0) == (2 * TIMES * 8 if last is MVE else 0)


@pytest.mark.parametrize("name", ["cortex-m4-an386", "cortex-m55-an547"])
def test_layers_add_up_to_the_run_but_for_the_marks(name):
    found = spun(name, 50)
    difference = sum(layer.total for layer in found.layers) - found.run.total
    assert abs(difference) <= 30, f"{difference} instructions"


def test_init_is_next_to_nothing():
    found = spun("cortex-m4-an386", 1)
    assert found.startup is not None
    assert found.startup.total + found.init.total < 150, "a model without variables has little to prepare"


def test_the_method_names_emulator_machine_and_instrument():
    assert re.fullmatch(
        r"QEMU emulator version [\d.]+ \(mps2-an386\), TCG plugin; SysTick agrees within 120",
        spun("cortex-m4-an386", 1).method,
    )


def test_without_a_compiler_systick_counts(monkeypatch):
    exact = spun("cortex-m4-an386", TIMES)
    monkeypatch.setattr(counts, "build_plugin", lambda folder: None)
    coarse = spun("cortex-m4-an386", TIMES)
    assert coarse.method.endswith("SysTick under -icount shift=0, in steps of 40 instructions")
    assert coarse.startup is None
    assert coarse.run.mve is None
    assert abs(coarse.run.total - exact.run.total) <= 80
    for one, two in zip(coarse.layers, exact.layers, strict=True):
        assert abs(one.total - two.total) <= 80


def test_with_a_plugin_interface_that_is_not_known_systick_counts(monkeypatch):
    """What happens on an emulator of the future."""
    monkeypatch.setattr(counts, "_interface", lambda version: 0x7FFF)
    assert "SysTick under -icount" in spun("cortex-m4-an386", TIMES).method


@pytest.mark.parametrize(("version", "interface"), [("7.2.22", 1), ("8.2.0", 1), ("9.2.1", 3), ("10.0.0", 3)])
def test_the_plugin_interface_follows_the_version(version, interface):
    assert counts._interface(f"QEMU emulator version {version}") == interface


def test_there_is_no_plugin_without_a_compiler(monkeypatch, tmp_path):
    emulator = tmp_path / "qemu-system-arm"
    emulator.symlink_to(counts.qemu.program())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert counts.build_plugin(tmp_path) is None


def test_systick_counts_beyond_its_24_bits():
    """690 million instructions are 17 million ticks."""
    name, times = "cortex-m4-an386", 43_000_000
    firmware = built(name, HERE / "counted" / "spin.c", (f"STUB_BYTES={SIZE}",))
    with emulate(firmware, load_device(name)) as session:
        ticks = session.run([bytes(SIZE), times.to_bytes(4, "little")]).ticks
    per_round = sum(n for loop in [*SCALAR, FP] for key, n in loop.items() if key not in ("words", "paired", "taken"))
    assert ticks > 1 << 24
    assert abs(ticks * 40 - times * per_round) < 2000


def test_tallies_add_up():
    one, two = Tally({"alu": 1, "mve": 2, "words": 9}), Tally({"alu": 3, "mve_load": 4})
    assert (one + two).classes == {"alu": 4, "mve": 2, "words": 9, "mve_load": 4}
    assert (one + two).total == 10
    assert (one + two).mve == 6


# --- the decoder against GNU's disassembler ---------------------------------------------------------

_CONDITION = re.compile(r"(?<=[a-z0-9])(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)$")
_MULTIPLE = r"(v?(ldm|stm)(ia|db)?|v?push|v?pop|ldrd|strd|fldmiax|fstmdbx)"
#: Core instructions by name; the first that fits.
_CORE = [
    (r"(dlstp|wlstp|letp|le|dls|wls|lctp)", "loop"),
    (r"b|bl|bx|blx|cbn?z|tb[bh]", "branch"),
    (_MULTIPLE, "multiple"),
    (r"(ldr|lda)\w*", "load"),
    (r"(str|stl)\w*", "store"),
    (r"[us]div", "div"),
    (r"(smull|umull|smlal|umlal|umaal|smlsl)\w*", "mul_long"),
    (r"(mul|mla|mls|smla|smls|smul|smmul|smmla|smmls|smuad|smusd|usad)\w*", "mul"),
]


def by_name(name, operands):
    """Our class of an instruction, from how a disassembler writes it."""
    stem = name.split(".")[0]
    if stem.startswith("v"):
        return _extension(stem, operands)
    plain = (
        stem if stem in ("cbz", "cbnz", "le", "letp", "dls", "wls", "muls", "mls") else _CONDITION.sub("", stem) or stem
    )
    return next((kind for pattern, kind in _CORE if re.fullmatch(pattern, plain)), "alu")


def _extension(stem, operands):
    vector = bool(re.search(r"\bq\d|\bd\d+\[", operands)) or re.match(r"vp(st|t|not|sel)|vctp", stem)
    if vector and re.match(r"v(ldr|ld2|ld4)", stem):
        return "mve_load"
    if vector and re.match(r"v(str|st2|st4)", stem):
        return "mve_store"
    if vector:
        return "mve"
    if re.match(r"v(ldr|str)", stem):
        return "load" if stem.startswith("vl") else "store"
    return "fp_div" if re.match(r"vdiv|vsqrt", stem) else "multiple" if re.fullmatch(_MULTIPLE, stem) else "fp"


def test_the_names_are_understood():
    wanted = {
        "ldr.w": "load", "ldrd": "multiple", "stmdb": "multiple", "bne.n": "branch", "bics": "alu", "bleq": "branch",
        "letp": "loop", "smlad": "mul", "mulne": "mul", "umull": "mul_long", "it": "alu", "movle": "alu",
        "ble.n": "branch",
    }  # fmt: skip
    assert {name: by_name(name, "r0, r1") for name in wanted} == wanted
    assert by_name("vldrb.u8", "q0, [r0]") == "mve_load"
    assert by_name("vldr", "s0, [r0]") == "load"


_LINE = re.compile(r"^ *[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))? +\t(\S+)\t?([^@;<\n]*)", re.MULTILINE)


def disassembled(core, path):
    """Halfwords, mnemonic and operands of everything in an object file or a program."""
    extra = ["-m", "armv8.1-m.main"] if core == "cortex-m55" else []
    argv = ["arm-none-eabi-objdump", "-d", *extra, str(path)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [(int(a, 16), int(b or "0", 16), 4 if b else 2, name, rest) for a, b, name, rest in _LINE.findall(text)]


def of_every_kind(core, folder):
    made = folder / "every.o"
    floats = ["-mfloat-abi=soft"] if core == "cortex-m3" else ["-mfloat-abi=hard", "-mfpu=auto"]
    argv = [
        "arm-none-eabi-gcc",
        f"-mcpu={core}",
        "-mthumb",
        *floats,
        "-c",
        str(HERE / "counted" / "every.c"),
        "-o",
        str(made),
    ]
    subprocess.run(argv, check=True)
    return made


@pytest.fixture(scope="module")
def classify(tmp_path_factory):
    """The plugin's decoder."""
    made = tmp_path_factory.mktemp("classify") / "classify.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{counts.PLUGIN.parent}"]
    subprocess.run(["gcc", *flags, "-o", made, HERE / "counted" / "classify.c"], check=True)
    function = ctypes.CDLL(str(made), mode=os.RTLD_LAZY).classify
    function.restype = ctypes.c_char_p

    def call(first, second, size):
        words = ctypes.c_uint()
        return function(first, second, size, ctypes.byref(words)).decode(), words.value

    return call


def registers(operands):
    """How many core registers a list names."""
    listed = re.search(r"\{([^}]*)\}", operands)
    assert listed, operands
    special = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
    total = 0
    for part in listed[1].split(","):
        names = part.strip().split("-")
        first, last = (special[name] if name in special else int(name[1:]) for name in (names[0], names[-1]))
        total += last - first + 1
    return total


@pytest.mark.parametrize("name", ["cortex-m3-an385", "cortex-m4-an386", "cortex-m55-an547"])
def test_the_decoder_agrees_with_a_disassembler(name, classify, tmp_path):
    core = name.rpartition("-")[0]
    seen, wrong = Counter(), Counter()
    for path in (of_every_kind(core, tmp_path), built(name).elf):
        for first, second, size, mnemonic, operands in disassembled(core, path):
            if mnemonic.startswith((".", "<")):
                continue
            wanted = by_name(mnemonic, operands)
            got, words = classify(first, second, size)
            seen[got] += 1
            if wanted != got:
                wrong[f"{mnemonic} {operands.strip()} is {wanted}, not {got}"] += 1
            elif re.fullmatch(r"(ldm|stm|push|pop)\S*", mnemonic):
                assert words == registers(operands), f"{mnemonic} {operands}: {words} words"
    assert not wrong, "\n".join(wrong)
    assert sum(seen.values()) > 500
    wanted = {"alu", "mul", "mul_long", "div", "load", "store", "multiple", "branch"}
    wanted |= {"fp", "fp_div"} if core != "cortex-m3" else set()
    wanted |= {"mve", "mve_load", "mve_store", "loop"} if core == "cortex-m55" else set()
    assert wanted == set(seen)
