"""netconfd (yuma123) behind an OpenSSH server: a NETCONF server that nobody here wrote.

Both are started for one test module on a free port of loopback, with keys made for it, and die with it. The ssh server
runs as whoever runs the tests and lets only that user in, with the key made here.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.southbound.driver import DomainSettings, DomainTimers
from lab.ports import free_port

MODULES = Path(__file__).parent / "thirdparty"
NETCONFD, SSHD, SUBSYSTEM = ("/usr/sbin/netconfd", "/usr/sbin/sshd", "/usr/sbin/netconf-subsystem")
TIMERS = DomainTimers(connect_s=20.0, edit_s=20.0, commit_s=20.0, confirm_s=8.0, read_s=20.0)
START_S = 15.0

needs_netconfd = pytest.mark.skipif(
    not all(os.access(program, os.X_OK) for program in (NETCONFD, SSHD, SUBSYSTEM)),
    reason="needs a third-party NETCONF server: apt-get install netconfd openssh-server",
)


@dataclass(frozen=True)
class ThirdParty:
    """The running server, and how our driver reaches it."""

    directory: Path
    port: int

    def settings(self, **more: object) -> DomainSettings:
        values: dict[str, object] = {
            "name": "third",
            "driver": "netconf",
            "address": f"127.0.0.1:{self.port}",
            "username": getpass.getuser(),
            "key_file": str(self.directory / "client"),
            "known_hosts": str(self.directory / "known_hosts"),
            "timers": TIMERS,
        }
        return DomainSettings(**{**values, **more})  # type: ignore[arg-type]


@contextmanager
def third_party(directory: Path) -> Iterator[ThirdParty]:
    """Yield the server; raises RuntimeError with its log where it does not start."""
    port = free_port()
    _keys(directory, port)
    sock = directory / "ncx.sock"
    (directory / "startup-cfg.xml").write_text('<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>\n')
    server = [
        NETCONFD,
        "--log-level=debug",
        "--module=ietf-l3vpn-ntw",
        f"--modpath={MODULES}:/usr/share/yuma/modules",
        f"--port={port}",
        f"--startup={directory / 'startup-cfg.xml'}",  # it writes there at each commit; else into the user's home
        "--target=candidate",
        "--access-control=off",
        f"--superuser={getpass.getuser()}",
        f"--ncxserver-sockname={sock}",
    ]
    shell = [SSHD, "-D", "-e", "-f", str(_sshd_config(directory, port, sock))]
    with (directory / "netconfd.log").open("wb") as first, (directory / "sshd.log").open("wb") as second:
        processes = [_guarded(server, first, directory)]
        try:
            _until(sock.exists, processes, directory)
            processes.append(_guarded(shell, second, directory))
            _until(lambda: _listens(port), processes, directory)
            yield ThirdParty(directory, port)
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _guarded(command: list[str], log: object, directory: Path) -> subprocess.Popen[bytes]:
    """Start a program that ends with this process, however that ends."""
    guard = shutil.which("setpriv")
    prefix = [guard, "--pdeathsig", "TERM"] if guard else []
    environment = {"HOME": str(directory), "PATH": os.defpath, "USER": getpass.getuser()}
    return subprocess.Popen([*prefix, *command], stdout=log, stderr=log, cwd=directory, env=environment)  # type: ignore[arg-type, call-overload]


def _keys(directory: Path, port: int) -> None:
    for name in ("host", "client"):
        line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(line, check=True, timeout=20)
    kind, key, *_ = (directory / "host.pub").read_text().split()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    shutil.copy(directory / "client.pub", directory / "authorized_keys")


def _sshd_config(directory: Path, port: int, sock: Path) -> Path:
    config = directory / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {directory / 'host'}\n"
        f"AuthorizedKeysFile {directory / 'authorized_keys'}\nAllowUsers {getpass.getuser()}\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nStrictModes no\nPidFile none\nMaxStartups 50\n"
        f"Subsystem netconf {SUBSYSTEM} --ncxserver-sockname={port}@{sock}\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it drops its privileges; a service would make it
    return config


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(holds, processes: list[subprocess.Popen[bytes]], directory: Path) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + START_S
    while not holds():
        if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
            logs = "\n".join(p.read_text(errors="replace")[-2000:] for p in sorted(directory.glob("*.log")))
            raise RuntimeError(f"the third-party server did not start:\n{logs}")
        time.sleep(0.05)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    with third_party(where) as running:
        print(running.port, flush=True)
        time.sleep(600)
