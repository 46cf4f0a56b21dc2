"""Numbers that the guide says in words are those of the code."""

from __future__ import annotations

import inspect

import pytest

from profiles import energy
from profiles.meters import ina3221, pmic
from profiles.sampling import Settings, instability
from profiles.units import format_quantity
from targets.runtime import MIN_PYTHON
from targets.ssh import SshOptions
from toolchain.cache.store import DEFAULT_LIMIT
from toolchain.project.models import ProjectFile
from toolchain.steps.bundle import LEAST_SQNR_DB
from tools.docs.pages import ROOT


def default(function, name):
    return inspect.signature(function).parameters[name].default


IDLE, RUN = default(energy.measure_energy, "idle_seconds"), default(energy.measure_energy, "run_seconds")
SSH = SshOptions()
SENTENCES = [
    ("report", f"agree within {100 * Settings().tolerance:g} %"),
    ("report", f"at least {Settings().min_runs} inferences and at least one second"),
    ("report", f"drifted by more than {100 * default(instability, 'limit'):g} %"),
    ("energy", f"idles for {IDLE / 2:g} seconds, runs inferences for {RUN:g}, and idles for another {IDLE / 2:g}"),
    ("energy", f"takes {IDLE + RUN:g} seconds longer"),
    ("energy", f"more than {100 * default(energy.measure_energy, 'max_relative'):g} % uncertain"),
    ("energy", f"{ina3221.SHUNT_STEP * 1e6:g} µV across the shunt, {ina3221.BUS_STEP * 1e3:g} mV of the bus"),
    ("energy", f"sampled every {default(ina3221.Ina3221Meter, 'interval') * 1e3:g} ms"),
    ("energy", f"{pmic.CORE_STEP * 1e3:.0f} mA on the core rail, {pmic.OTHER_STEP * 1e3:g} mA on the others"),
    ("energy", f"sampled every {default(pmic.PmicMeter, 'interval') * 1e3:g} ms"),
    ("remote", f"Python {'.'.join(map(str, MIN_PYTHON))} or newer"),
    ("remote", f"silent for {SSH.alive_interval * SSH.alive_count} seconds"),
    ("remote", f"does not answer within {SSH.connect_timeout} seconds"),
    ("cache", f"{DEFAULT_LIMIT / 1e9:g} GB"),
    ("precision", f"{LEAST_SQNR_DB:g} dB of SQNR is a bad bundle"),
]


@pytest.mark.parametrize(("page", "sentence"), SENTENCES, ids=[f"{page}-{n}" for n, (page, _) in enumerate(SENTENCES)])
def test_numbers_in_words(page, sentence):
    text = " ".join((ROOT / "docs" / "guide" / f"{page}.md").read_text(encoding="utf-8").split())
    assert sentence in text, f"docs/guide/{page}.md no longer says: {sentence}"


def test_words_that_stand_for_numbers():
    text = (ROOT / "docs" / "guide" / "energy.md").read_text(encoding="utf-8")
    assert energy.IDLE_WINDOWS == 6 and "six windows" in " ".join(text.split()), "the number of idle windows"
    assert Settings().seconds == 1.0, "docs/guide/report.md says at least one second"
    assert format_quantity(0.02, "s") == "20 ms"


def test_the_project_file_page_has_every_section():
    text = (ROOT / "docs" / "guide" / "project-file.md").read_text(encoding="utf-8")
    for name in ProjectFile.model_fields:
        assert f"[{name}]`" in text or f"[[{name}]]`" in text, f"the section [{name}] has no heading"
