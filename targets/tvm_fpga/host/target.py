"""Machines that the host module is built for, and the compilers that link it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from profiles.errors import ConfigError, ToolCrashError
from targets.execute import run_program

#: Seconds that linking may take.
LINK_TIMEOUT = 120.0


#: Nothing of the folders that it was built in.
_REPRODUCIBLE = ("-s", "-Wl,--build-id=none")


@dataclasses.dataclass(frozen=True)
class HostTarget:
    """One machine.

    Attributes:
        name: as TVM's triple begins.
        options: of TVM's target.
        compiler: program that compiles C and links.
        package: of Debian, that has it.
    """

    name: str
    options: Mapping[str, object]
    compiler: str
    package: str

    @property
    def missing(self) -> str:
        """What is not installed, and how to install it; empty when the compiler is there."""
        if shutil.which(self.compiler):
            return ""
        return f"{self.compiler} is not installed; run: sudo apt-get install {self.package}"

    def as_tvm(self) -> object:
        """``tvm.target.Target``."""
        import tvm

        return tvm.target.Target({"kind": "llvm", **self.options})

    def link(self, out: str, files: Sequence[str], options: Sequence[str] = ()) -> None:
        """Make a shared library.

        Raises:
            MissingToolError: the compiler is not installed.
            ToolCrashError: it failed.
        """
        argv = [self.compiler, "-shared", "-fPIC", "-O2", *_REPRODUCIBLE, "-o", out, *files, *options]
        done = run_program(argv, timeout=LINK_TIMEOUT)
        if done.status:
            raise ToolCrashError(
                f"{self.compiler} could not link the host module",
                seen="\n".join(done.stderr.strip().splitlines()[-5:]),
                next_step=f"install the package {self.package}",
            )


HOSTS: Mapping[str, HostTarget] = MappingProxyType(
    {
        each.name: each
        for each in (
            HostTarget("x86_64", {"mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2"}, "gcc", "gcc"),
            HostTarget("aarch64", {"mtriple": "aarch64-linux-gnu"}, "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            HostTarget(
                "armv7",
                {"mtriple": "armv7a-linux-gnueabihf", "mfloat-abi": "hard", "mattr": ["+neon", "+vfp3"]},
                "arm-linux-gnueabihf-gcc",
                "gcc-arm-linux-gnueabihf",
            ),
        )
    }
)


def host_target(name: str) -> HostTarget:
    """A machine by name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in HOSTS:
        raise ConfigError("the host of the accelerator", seen=name, allowed=", ".join(HOSTS))
    return HOSTS[name]
