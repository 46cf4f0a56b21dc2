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
from targets.tflite_micro.kernels import INCLUDE, SOURCES

HERE = Path(__file__).parent
SIZE = 64
TIMES = 1000
#: Per round of the three loops of spin.c.
SCALAR = [
    {"load": 2, "store": 1, "mul": 1, "mul_long": 1, "alu": 1, "branch": 1, "paired": 1, "taken": 1},
    {"multiple": 2, "words": 6, "alu": 2, "div": 1, "branch": 3, "taken": 2},
]
FP = {"load": 1, "store": 1, "fp": 2, "fp_div": 1, "alu": 1, "branch": 1, "taken": 1}
MVE = {"mve_load": 2, "mve_mul": 2, "mve": 3, "mve_store": 1, "loop": 1}


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


def test_there_is_no_plugin_without_a_compiler(monkeypatch, tmp_path):
    emulator = tmp_path / "qemu-system-arm"
    emulator.symlink_to(counts.qemu.program())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert counts.build_plugin(tmp_path) is None


def test_tallies_add_up():
    one, two = Tally({"alu": 1, "mve": 2, "words": 9}), Tally({"alu": 3, "mve_load": 4})
    assert (one + two).classes == {"alu": 4, "mve": 2, "words": 9, "mve_load": 4}
    assert (one + two).total == 10
    assert (one + two).mve == 6


# --- the decoder against GNU's disassembler ---------------------------------------------------------

_DETAILS = re.compile(r"\{([^}]*)\}")
_CLASSES = [
    (r"v(ldr|ld2|ld4)\S*", "mve_load"), (r"v(str|st2|st4)\S*", "mve_store"),
    (r"(ldm|stm|push|pop|ldrd|strd|vpush|vpop|vldmia|vstmia|vldmdb|vstmdb)\S*", "multiple"),
    (r"(ldr|ldrex|lda)\w*", "load"), (r"(str|strex|stl)\w*", "store"),
    (r"[us]div", "div"), (r"(smull|umull|smlal|umlal|umaal|smlald|smlaltt|smlsld)\w*", "mul_long"),
    (r"(mul|mla|mls|smla|smul|smmul|smmla|smmls|smuad|smusd|smlad|smlsd|usad)\w*", "mul"),
    (r"(b|bl|bx|blx|b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)|cbn?z|tb[bh])(\.[nw])?", "branch"),
    (r"(dlstp|wlstp|letp|le|dls|wls|lctp)(\.\d+)?", "loop"),
]  # fmt: skip


def by_name(mnemonic, operands, has_mve):
    """Our class of an instruction, from how a disassembler writes it; "" where its name does not tell."""
    name = re.sub(r"(?<=[a-z])(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|hs|lo)$", "", mnemonic.split(".")[0])
    base = mnemonic if mnemonic.startswith(("b", "v", "l")) else name
    vector = "q" in re.findall(r"\b[qsdr]", operands)[:1] or re.search(r"\bq\d", operands)
    if base.startswith("v") or base.startswith("fstm") or base.startswith("fldm"):
        return _extension(base, operands, has_mve, vector)
    for pattern, kind in _CLASSES[3:]:
        if re.fullmatch(pattern, base) or re.fullmatch(pattern, name):
            return kind
    return "multiple" if re.fullmatch(_CLASSES[2][0], name) else "alu"


def _extension(base, operands, has_mve, vector):
    if re.match(r"vdiv|vsqrt", base):
        return "fp_div"
    if re.match(r"vpush|vpop|v(ld|st)m(ia|db)", base):
        return "multiple"
    if re.match(r"v(ldr|str)", base) and not vector:
        return "load" if base.startswith("vl") else "store"
    if vector or re.match(r"vp(st|t|not|sel)|vctp", base):
        if re.match(_CLASSES[0][0], base):
            return "mve_load"
        if re.match(_CLASSES[1][0], base):
            return "mve_store"
        return "vector"
    return "" if re.match(r"vmov|vms?r|vmrs", base) and has_mve else "fp"


def disassembled(core, source, tmp_path):
    """Halfwords, mnemonic and operands of everything in a compiled kernel."""
    made = tmp_path / f"{core}-{source.stem}.o"
    flags = [f"-mcpu={core}", "-mthumb", "-O2", "-std=c99", "-I", str(INCLUDE)]
    flags += ["-mfloat-abi=soft"] if core == "cortex-m3" else ["-mfloat-abi=hard", "-mfpu=auto"]
    done = subprocess.run(
        ["arm-none-eabi-gcc", *flags, "-c", source, "-o", made], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{source.name} does not compile:\n{done.stderr[-500:]}")
    extra = ["-m", "armv8.1-m.main"] if core == "cortex-m55" else []
    text = subprocess.run(
        ["arm-none-eabi-objdump", "-d", *extra, made], capture_output=True, text=True, check=True
    ).stdout
    line = re.compile(r"^ +[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))? +\t(\S+)\t?([^@;<]*)", re.MULTILINE)
    return [(int(a, 16), int(b or "0", 16), 4 if b else 2, name, rest) for a, b, name, rest in line.findall(text)]


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
    """How many registers a list names."""
    listed = _DETAILS.search(operands)
    assert listed, operands
    total = 0
    for part in listed[1].split(","):
        first, _, last = part.strip().partition("-")
        number = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
        low, high = (number.get(name) if name in number else int(name[1:] or 0) for name in (first, last or first))
        total += high - low + 1
    return total


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4", "cortex-m55"])
def test_the_decoder_agrees_with_a_disassembler(core, classify, tmp_path):
    seen, wrong = Counter(), Counter()
    sources = [*sorted(SOURCES.glob("*.c")), HERE / "counted" / "every.c"]
    for source in sources:
        for first, second, size, name, operands in disassembled(core, source, tmp_path):
            if name in (".word", ".short", "<UNDEFINED>") or name.startswith("."):
                continue
            wanted = by_name(name, operands, core == "cortex-m55")
            got, words = classify(first, second, size)
            seen[got] += 1
            alike = got in ("mve", "mve_mul") if wanted == "vector" else not wanted or got == wanted
            if not alike:
                wrong[f"{name} {operands.strip()} is {wanted}, not {got}"] += 1
            elif got == "multiple" and "{" in operands and not name.startswith(("vp", "vl", "vs")):
                assert words == registers(operands), f"{name} {operands}: {words} words"
    assert not wrong, wrong.most_common(20)
    wanted = {"alu", "mul", "load", "store", "multiple", "branch"}
    wanted |= {"mve", "mve_mul", "mve_load", "mve_store", "loop"} if core == "cortex-m55" else set()
    assert wanted <= set(seen), f"only {dict(seen)}"
