"""A systemd as process 1 of namespaces of its own: starts one unit, and ends with all that it started."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

#: Targets that units of a device stand on, here without anything behind them.
TARGETS = ("sysinit", "basic", "network-online", "time-sync", "shutdown", "multi-user")
#: Only mounts of this namespace change. A control group of our own is the root of what systemd sees.
BOOT = """
mount -t tmpfs tmpfs /run
while mountpoint -q /sys/fs/cgroup; do umount -l /sys/fs/cgroup || exit 9; done
mount -t cgroup2 none /sys/fs/cgroup || exit 9
exec env -i container=lxc PATH=/usr/bin:/bin SYSTEMD_UNIT_PATH="$0" \
    /lib/systemd/systemd --system --unit="$1" --log-target=console --default-standard-output=null
"""


class Systemd:
    """Boots with the unit files of a folder; use it as a context."""

    def __init__(self, folder, unit):
        self.units, self.unit, self.group = folder, unit, None
        for name in TARGETS:
            (folder / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")

    @staticmethod
    def missing():
        """Why there can be none here; empty where there can."""
        programs = [name for name in ("/lib/systemd/systemd", "unshare", "mountpoint") if not shutil.which(name)]
        if programs:
            return f"there is no {programs[0]}"
        if os.geteuid():
            return "only root may start a systemd"
        return "" if _groups() else "control groups cannot be changed here"

    def __enter__(self):
        self.group = _groups() / f"edgewright-test-{os.getpid()}"
        self.group.mkdir()
        space = ["--pid", "--fork", "--kill-child", "--mount", "--cgroup", "--uts", "--ipc", "--mount-proc"]
        self.log = open(self.units / "boot.log", "w+")
        join = f'echo $$ > "{self.group}/cgroup.procs" && exec "$@"'
        words = ["sh", "-c", join, "sh", "unshare", *space, "bash", "-c", BOOT, str(self.units), self.unit]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGKILL)  # --kill-child: process 1 of the namespace, and with it all others
        self.process.wait(10)
        self.log.close()
        end = time.monotonic() + 5
        while self.group.exists() and time.monotonic() < end:
            for folder in [*sorted(self.group.rglob("*/"), reverse=True), self.group]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            time.sleep(0.05)

    def pids(self):
        """Process ids of the unit, as this namespace counts them."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in (self.group / "system.slice" / self.unit / "cgroup.procs").read_text().split()]
        return []

    def said(self):
        return (self.units / "boot.log").read_text()[-2000:]


def _groups():
    """Where groups can be made in the unified hierarchy; None for nowhere."""
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (
            (folder / "cgroup.procs").is_file()
            and os.access(folder, os.W_OK)
            and not os.statvfs(folder).f_flag & os.ST_RDONLY
        ):
            return folder
    return None
