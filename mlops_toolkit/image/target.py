"""For what a package's wheel must be made: the tags and markers of an image's Python, instead of those of the Python that builds it."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_toolkit.errors import UsageError
from mlops_toolkit.image.inside import Python
from mlops_toolkit.oci.documents import Platform

MACHINES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "arm": "armv7l",
    "386": "i686",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
# Names of before PEP 600, and the C library that each stands for.
_FORMER = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}


@dataclass(frozen=True)
class Target:
    """A Python on a platform."""

    platform: Platform
    python: Python

    @property
    def machine(self) -> str:
        """As `uname -m` says it there. UsageError `bad-platform`."""
        found = MACHINES.get(self.platform.architecture)
        if found is None:
            raise UsageError(
                "bad-platform",
                f"there are no Python packages for {self.platform}",
                where="publish.platforms",
                hint=f"known: {', '.join(f'linux/{name}' for name in MACHINES)}",
            )
        return found

    @property
    def tags(self) -> tuple[str, ...]:
        """Platform tags of wheels that run there, the most demanding first (PEP 600, PEP 656)."""
        major, minor = self.python.libc_version
        if self.python.libc == "musl":
            return tuple(f"musllinux_{major}_{n}_{self.machine}" for n in range(minor, 0, -1))
        names = [f"manylinux_{major}_{n}_{self.machine}" for n in range(minor, 4, -1)]
        return (*names, *(f"{name}_{self.machine}" for name, n in _FORMER.items() if n <= minor))

    @property
    def pip(self) -> list[str]:
        """What tells pip to choose for it."""
        words = [
            "--implementation",
            "cp",
            "--python-version",
            self.python.text,
            "--abi",
            f"cp{self.python.version[0]}{self.python.version[1]}",
        ]
        return [*words, *(word for tag in self.tags for word in ("--platform", tag)), "--only-binary", ":all:"]

    @property
    def markers(self) -> dict[str, str]:
        """The environment that markers of requirements are judged in (PEP 508)."""
        version = self.python.text
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{version}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{version}.0",
            "python_version": version,
            "sys_platform": "linux",
        }
