"""Run a module under the filter of system calls of the systemd unit: python -m tests.monitoring.confined MODULE …

No systemd is needed, only its lists (`systemd-analyze syscall-filter`) and libseccomp, which it brings.
"""

from __future__ import annotations

import ctypes
import errno
import re
import runpy
import subprocess
import sys
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "lab" / "systemd" / "onecity.service"
ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO of seccomp.h
LIBRARY = "libseccomp.so.2"


def library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        return None


def _groups() -> dict[str, list[str]]:
    text = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, timeout=30).stdout
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif name and line.startswith("    ") and not line.strip().startswith("#"):
            found.setdefault(name, []).append(line.strip())
    return found


def allowed() -> set[str]:
    """Return the names of the system calls that the unit leaves to the daemon."""
    groups = _groups()

    def spelt(name: str) -> set[str]:
        return {n for inner in groups.get(name, ()) for n in spelt(inner)} if name.startswith("@") else {name}

    names = spelt("@default")
    for words in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE):
        every = {n for word in words.lstrip("~").split() for n in spelt(word)}
        names = names - every if words.startswith("~") else names | every
    return names


class _Argument(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def _deny_writable_code(seccomp: ctypes.CDLL) -> None:
    """MemoryDenyWriteExecute=yes: no memory that is written and run, and none made runnable afterwards."""
    context = seccomp.seccomp_init(ALLOW)
    add = seccomp.seccomp_rule_add_array
    add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Argument)]
    for name, bits in (("mmap", 2 | 4), ("mprotect", 4), ("pkey_mprotect", 4)):  # PROT_WRITE 2, PROT_EXEC 4
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        masked = _Argument(2, 7, bits, bits)  # the third argument, SCMP_CMP_MASKED_EQ
        assert add(context, ERRNO | errno.EPERM, number, 1, ctypes.byref(masked)) == 0, name
    assert seccomp.seccomp_load(context) == 0


def confine() -> None:
    """Have all but these calls fail with EPERM from now on, here and in every process started from here."""
    seccomp = library()
    assert seccomp is not None
    seccomp.seccomp_init.restype = ctypes.c_void_p
    seccomp.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
    if "MemoryDenyWriteExecute=yes" in UNIT.read_text(encoding="utf-8"):
        _deny_writable_code(seccomp)
    context = seccomp.seccomp_init(ERRNO | errno.EPERM)
    for name in sorted(allowed()):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            assert seccomp.seccomp_rule_add(context, ALLOW, number, 0) == 0, name
    assert seccomp.seccomp_load(context) == 0


if __name__ == "__main__":
    confine()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
