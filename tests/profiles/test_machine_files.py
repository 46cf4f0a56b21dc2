"""A Jetson's power mode where its state file cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles.machine_files import NVPMODEL, has_loaded, power_mode


def program(root: Path, text: str = "#!/bin/sh\nexit 1\n") -> Path:
    path = root / NVPMODEL
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(0o755)
    return root


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        ("NV Power Mode: MAXN_SUPER\n2\n", "2 (MAXN_SUPER)"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 15W\n0\n", "0 (15W)"),
        ("NV Power Mode: 120W\n", "120W"),
        ("", None),
        ("NVPM ERROR: failed to read PARAM\n", None),
    ],
)
def test_nvpmodel_is_asked(tmp_path: Path, answer: str, mode: str | None) -> None:
    assert power_mode(program(tmp_path), lambda: answer) == mode


def test_the_state_file_spares_the_question(tmp_path: Path) -> None:
    root = program(tmp_path)
    (root / "var/lib/nvpmodel").mkdir(parents=True)
    (root / "var/lib/nvpmodel/status").write_text("pmode:0001\n")
    assert power_mode(root, lambda: pytest.fail("asked")) == "1"


def test_machines_without_the_program_are_not_asked(tmp_path: Path) -> None:
    assert power_mode(tmp_path, lambda: pytest.fail("asked")) is None


def test_the_program_itself(tmp_path: Path) -> None:
    text = "#!/bin/sh\n[ \"$1\" = -q ] && printf 'NV Power Mode: MAXN\\n0\\n'\n"
    assert power_mode(program(tmp_path, text)) == "0 (MAXN)"


def test_a_program_that_fails(tmp_path: Path) -> None:
    assert power_mode(program(tmp_path)) is None


def test_libraries_of_this_process(tmp_path: Path) -> None:
    assert has_loaded(tmp_path, "libcuda.so") is None
    (tmp_path / "proc/self").mkdir(parents=True)
    maps = tmp_path / "proc/self/maps"
    maps.write_text("7f1 r-xp 00000000 fe:01 77 /usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1.1\n")
    assert has_loaded(tmp_path, "libcuda.so")
    maps.write_text("7f1 r-xp 00000000 fe:01 77 /usr/lib/libcudart.so.13\n")
    assert not has_loaded(tmp_path, "libcuda.so"), "the runtime alone says nothing of the driver"
    assert has_loaded(Path("/"), "libc.so"), "this process has the C library"
