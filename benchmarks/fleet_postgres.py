"""A PostgreSQL server for benchmarks and tests: in a temporary folder, on a unix socket, ended by its process id."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

_BIN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_NUMBERS = itertools.count()


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs, or None."""
    found = shutil.which(name) or next((str(each / name) for each in reversed(_BIN) if (each / name).exists()), None)
    return os.path.realpath(found) if found else None


class Postgres:
    """A server in a folder of its own; PostgreSQL refuses root, so root runs it as ``nobody``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ewpg-", dir="/tmp"))
        self._as = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = str(self.folder / "data")
        words = [program("initdb"), "-D", data, "-U", "fleet", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder, **self._as)
        self.log = (self.folder / "log").open("wb")
        options = ["-D", data, "-k", str(self.folder), "-h", "", "-F", "-c", "max_connections=60"]
        self.process = subprocess.Popen(
            [program("postgres"), *options], stdout=self.log, stderr=self.log, cwd=self.folder, **self._as
        )
        self._wait()

    def _wait(self) -> None:
        import psycopg

        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(psycopg.Error):
                self.execute("SELECT 1")
                return
            time.sleep(0.05)
        said = (self.folder / "log").read_text()[-2000:]
        self.stop()
        raise RuntimeError(f"PostgreSQL did not start: {said}")

    def execute(self, statement: str) -> None:
        """Carry out one statement."""
        import psycopg

        where = f"host={self.folder} user=fleet dbname=postgres"
        with psycopg.connect(where, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def new(self) -> str:
        """The URL of a new, empty schema; a database of its own would be 7 MB of files for each."""
        name = f"fleet{os.getpid()}_{next(_NUMBERS)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"postgresql://fleet@/postgres?host={self.folder}&options=-csearch_path%3D{name}"

    def processor_time(self) -> float:
        """Seconds of processor time of the server and its children, those that ended too."""
        ticks = os.sysconf("SC_CLK_TCK")
        parent = self.process.pid
        found = 0.0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found += (int(fields[11]) + int(fields[12])) / ticks
                if int(stat.parent.name) == parent:
                    found += sum(map(int, fields[11:15])) / ticks
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # at once: what it holds is thrown away
            self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def missing() -> str:
    """What is not installed; empty if all is."""
    absent = [name for name in ("initdb", "postgres") if program(name) is None]
    with contextlib.suppress(ImportError):
        import psycopg  # noqa: F401

        return " and ".join(absent)
    return " and ".join([*absent, "psycopg"])
