"""The library folder, used as its README says: in C, in C++, with CMake, twice at the same time."""

import re
import shutil
import subprocess

import harness
import numpy as np
import pytest

from targets.tflite_micro.emit.library import write_library

ALLOWED = {"memcpy", "memset", "memmove"}
FACTS = {"sha256": "0" * 64, "mcpu": "any core"}


def streaming_pool():
    """Max pool, then a transpose: two layers, no state."""
    tensors = [
        harness.tensor((1, 8, 8, 3), scale=0.5),
        harness.tensor((1, 4, 4, 3), scale=0.5),
        harness.tensor((4,), "int32", data=[0, 2, 1, 3]),
        harness.tensor((1, 4, 4, 3), scale=0.5),
    ]
    pool = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2, "padding": 1}
    return harness.tiny([("MAX_POOL_2D", [0], [1], pool), ("TRANSPOSE", [1, 2], [3], {})], tensors, [0], [3])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lib") / "library"
    files = write_library(harness.program_of(streaming_pool()), folder, FACTS)
    assert {str(path) for path in files} >= {"CMakeLists.txt", "README.md", "edgewright_model.c", "edgewright_model.h"}
    return folder


def run(argv, cwd, **more):
    done = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, check=False, timeout=120, **more)
    assert done.returncode == 0, f"{argv[0]}: {done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout


def objects(library, out, *flags):
    sources = [library / "edgewright_model.c", *sorted((library / "kernels").glob("*.c"))]
    shown = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    run(["gcc", "-std=c99", "-O2", *shown, *flags, "-I", library, "-I", library / "kernels", "-c", *sources], out)
    return sorted(out.glob("*.o"))


def test_it_is_pedantic_c99_and_needs_nothing_but_memory_functions(library, tmp_path):
    made = objects(library, tmp_path, "-DEW_PORTABLE")
    undefined = run(["nm", "-u", *made], tmp_path).decode()
    defined = run(["nm", "--defined-only", *made], tmp_path).decode()
    names = set(re.findall(r"U (\w+)", undefined)) - set(re.findall(r"[TDRB] (\w+)", defined))
    assert names <= ALLOWED, f"allowed are {ALLOWED}; the library also wants {names - ALLOWED}"


def test_nothing_is_written_but_the_instance(library, tmp_path):
    made = objects(library, tmp_path, "-DEW_PORTABLE", "-fno-pie")  # as on a microcontroller: addresses are constants
    writable = re.findall(r"^\S+ [bBdDC] (\w+)$", run(["nm", *made], tmp_path).decode(), re.MULTILINE)
    assert not writable, f"static variables make it not re-entrant: {writable}"


def test_the_header_is_good_cpp(library, tmp_path):
    (tmp_path / "use.cpp").write_text('#include "edgewright_model.h"\nedgewright_model_t a, b;\n')
    run(
        ["g++", "-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", library, "use.cpp"],
        tmp_path,
    )


def test_the_readmes_lines_compile(library, tmp_path):
    block = re.search(r"```c\n(.*?)```", (library / "README.md").read_text(), re.DOTALL).group(1)
    head, body = block.split("static edgewright_model_t model;\n")
    lines = ["#include <string.h>", head, "static edgewright_model_t model;", "int use(const void *pixels) {", body]
    (tmp_path / "use.c").write_text("\n".join([*lines, "return scores[0];", "}", ""]))
    run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", library, "use.c"], tmp_path)


def test_a_model_for_another_instruction_set_refuses_to_compile(library, tmp_path):
    done = subprocess.run(
        ["gcc", "-DEW_DSP", "-I", library, "-I", library / "kernels", "-c", library / "edgewright_model.c"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and "packed for portable C" in done.stderr


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_builds_it(library, tmp_path):
    run(["cmake", "-S", library, "-B", tmp_path], tmp_path)
    run(["cmake", "--build", tmp_path], tmp_path)
    assert (tmp_path / "libedgewright_model.a").is_file()


TWO = """
#include <stdio.h>
#include <string.h>
#include "edgewright_model.h"
static edgewright_model_t one, two;
int main(void) {
    int8_t first[EDGEWRIGHT_MODEL_INPUT_0_SIZE], second[EDGEWRIGHT_MODEL_INPUT_0_SIZE];
    if (fread(first, sizeof first, 1, stdin) != 1 || fread(second, sizeof second, 1, stdin) != 1) return 1;
    edgewright_model_init(&one);
    edgewright_model_init(&two);
    memcpy(edgewright_model_input(&one, 0), first, sizeof first);
    memcpy(edgewright_model_input(&two, 0), second, sizeof second);
    for (int layer = 0; layer < EDGEWRIGHT_MODEL_LAYERS; layer++) {
        edgewright_model_run_layer(&one, layer);
        edgewright_model_run_layer(&two, layer);
    }
    fwrite(edgewright_model_output(&one, 0), EDGEWRIGHT_MODEL_OUTPUT_0_SIZE, 1, stdout);
    fwrite(edgewright_model_output(&two, 0), EDGEWRIGHT_MODEL_OUTPUT_0_SIZE, 1, stdout);
    return 0;
}
"""


def test_two_instances_do_not_know_of_each_other(library, tmp_path):
    (tmp_path / "two.c").write_text(TWO)
    made = objects(library, tmp_path, "-DEW_PORTABLE")
    run(["gcc", "-std=c99", "-DEW_PORTABLE", "-I", library, "two.c", *made, "-o", "two"], tmp_path)
    samples = harness.random_samples(streaming_pool(), 6)[4:]
    given = b"".join(np.ascontiguousarray(sample[0]).tobytes() for sample in samples)
    seen = run([tmp_path / "two"], tmp_path, input=given)
    assert seen == b"".join(sample[0].tobytes() for sample in harness.reference(streaming_pool(), samples))


def test_the_same_program_gives_the_same_bytes(library, tmp_path):
    again = tmp_path / "library"
    write_library(harness.program_of(streaming_pool()), again, FACTS)
    for path in sorted(library.rglob("*")):
        if path.is_file():
            assert (again / path.relative_to(library)).read_bytes() == path.read_bytes(), path.name
