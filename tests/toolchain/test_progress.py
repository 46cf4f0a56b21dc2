"""Progress: plain lines, a live display, silence; never a byte on standard output."""

import io
import os
import re
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from profiles.errors import DataError
from toolchain import progress as module
from toolchain.progress import Progress, duration

TOOK = r"\d+(\.\d+)? (s|ms|µs|ns)"


class Clock:
    """Time that passes only when told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None, _environ={})


def test_plain_lines(clock):
    stream = io.StringIO()
    with Progress(stream=stream, planned=3) as progress:
        with progress.step("train"):
            clock.now += 75
        with progress.step("export to ONNX") as step:
            clock.now += 2.1
            step.cached = True
        progress.note("the cache is full")
    assert stream.getvalue() == (
        "[1/3] train … 1 min 15 s\n[2/3] export to ONNX … 2.1 s (cached)\nnote: the cache is full\n"
    )


def test_the_count_without_a_plan(clock):
    stream = io.StringIO()
    progress = Progress(stream=stream)
    for title in ("a", "b"):
        with progress.step(title):
            clock.now += 1
    assert stream.getvalue() == "[1] a … 1 s\n[2] b … 1 s\n"


def test_a_failed_step_says_so_and_the_error_passes(clock):
    stream = io.StringIO()
    with pytest.raises(DataError, match="empty"), Progress(stream=stream) as progress, progress.step("train"):
        clock.now += 0.5
        raise DataError("the data set is empty")
    assert stream.getvalue() == "[1] train … failed after 500 ms\n"


def test_a_step_inside_a_step_is_indented_and_not_counted(clock):
    stream = io.StringIO()
    progress = Progress(stream=stream, planned=2)
    with progress.step("local-cpu"), progress.step("export"):
        clock.now += 1
    with progress.step("report"):
        clock.now += 1
    assert stream.getvalue() == "    export … 1 s\n[1/2] local-cpu … 1 s\n[2/2] report … 1 s\n"


def test_a_long_step_speaks_now_and_then(clock):
    stream = io.StringIO()
    with Progress(stream=stream) as progress, progress.step("train", total=400) as step:
        for done in range(1, 26):
            clock.now += 1
            step.update(done, detail=f"epoch {done}")
    assert stream.getvalue().splitlines() == [
        "[1] train … 2% after 10 s, epoch 10",
        "[1] train … 5% after 20 s, epoch 20",
        "[1] train … 25 s",
    ]


def test_quiet_is_silent(clock, capfd):
    with Progress(quiet=True) as progress:
        progress.note("unheard")
        with progress.step("train", total=10) as step:
            clock.now += 60
            step.update(5)
    assert capfd.readouterr() == ("", "")


def test_plain_lines_go_to_standard_error(capfd):
    with Progress() as progress, progress.step("train"):
        progress.note("heard")
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(rf"note: heard\n\[1\] train … {TOOK}\n", err), err


def test_markup_in_titles_is_left_alone():
    for console in (terminal(), Console(file=io.StringIO(), width=100)):
        with Progress(console=console) as progress, progress.step("[red]odd[/red] [name]"):
            pass
        assert "[1] [red]odd[/red] [name] … " in console.file.getvalue()


def test_a_console_that_is_no_terminal_gets_plain_lines(clock):
    console = Console(file=io.StringIO(), width=40)
    with Progress(console=console, planned=1) as progress, progress.step("a title that is longer than forty columns"):
        clock.now += 2
    assert console.file.getvalue() == "[1/1] a title that is longer than forty columns … 2 s\n"


def test_the_display_shows_title_share_detail_and_time(monkeypatch):
    console = terminal()
    with Progress(console=console, planned=2) as progress:
        with progress.step("train", total=4) as step:
            step.update(3, detail="epoch 3")
            progress._display.refresh()
            shown = console.file.getvalue()
        with progress.step("export") as step:
            step.cached = True
    assert re.search(r"\[1/2\] train  epoch 3 .*75%.*0:00:00", shown), shown
    text = console.file.getvalue()
    assert re.search(rf"\[1/2\] train … {TOOK}\n", text), "the finished step leaves its line"
    assert re.search(rf"\[2/2\] export … {TOOK} \(cached\)\n", text)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is hidden once and comes back once"


def test_a_step_of_unknown_length_shows_time_and_a_pulse():
    console = terminal()
    with Progress(console=console) as progress, progress.step("compile"):
        progress._display.refresh()
        shown = console.file.getvalue()
    assert re.search(r"\[1\] compile .*0:00:00", shown)
    assert "%" not in shown, "there is no share of something unknown"


def test_the_display_goes_away_on_errors():
    console = terminal()
    with pytest.raises(KeyboardInterrupt), Progress(console=console) as progress, progress.step("train"):
        raise KeyboardInterrupt
    assert "train … failed after" in console.file.getvalue()
    assert console.file.getvalue().count("\x1b[?25h") == 1, "the cursor comes back"


@pytest.mark.parametrize("console", [None, "terminal"])
def test_steps_in_many_threads(console):
    stream = io.StringIO()
    console = terminal() if console else None
    gate = threading.Barrier(8)

    def work(progress, name):
        gate.wait()
        with progress.step(name, total=50) as step:
            for done in range(50):
                step.update(done)

    with Progress(stream=stream, console=console, planned=8) as progress:
        threads = [threading.Thread(target=work, args=(progress, f"device-{index}")) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    text = console.file.getvalue() if console else stream.getvalue()
    found = re.findall(rf"\[(\d)/8\] device-(\d) … {TOOK}\n", text)
    assert sorted(number for number, *_ in found) == list("12345678"), "every step has its own number and one line"
    assert sorted(name for _, name, *_ in found) == list("01234567"), "no depth or label leaks from thread to thread"


def test_standard_output_stays_free_on_a_terminal():
    """With a real terminal on standard error and a pipe on standard output, as in ``edgewright build --json | jq``."""
    code = (
        "from toolchain.progress import Progress\n"
        "with Progress() as p, p.step('train', total=2) as s:\n"
        "    s.update(1); print('{}', flush=True)\n"
    )
    main, child = os.openpty()
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=child, check=True, timeout=60)
    os.close(child)
    seen = os.read(main, 1 << 16).decode()
    os.close(main)
    assert done.stdout == b"{}\n", "results and nothing else"
    assert "[1] train" in seen


def test_rich_is_not_loaded_where_there_is_no_terminal():
    code = (
        "import sys; from toolchain.progress import Progress\n"
        "with Progress() as p, p.step('x'): pass\n"
        "sys.exit(any(name.split('.')[0] == 'rich' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.0021, "2.1 ms"), (2.14, "2.1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"),
     (3599.4, "59 min 59 s"), (3600, "1 h 0 min"), (7380, "2 h 3 min")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text
