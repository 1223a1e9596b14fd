"""A real IP domain controller process for tests, and stock ncclient sessions with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lxml import etree
from ncclient import NCClientError, manager
from ncclient.transport import session as ncclient_session

from lab.credentials import make_credentials

ncclient_session.TICK = 0.001  # out of the box every RPC waits 100 ms for the client's own loop
DOMAIN = "city-ip"


class IpProcess:
    """The process under test; `kill` is kill -9, `start` again keeps directory and NETCONF port."""

    def __init__(self, directory: Path, *more: str) -> None:
        """more: further options of its command line."""
        self.directory, self._more = directory, more
        make_credentials(directory, [DOMAIN])
        self.password = (directory / "secrets" / f"{DOMAIN}.password").read_text()
        self.netconf = self.gnmi = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "lab.ip.main", "--city", "longgang", "--domain", DOMAIN, "--watch-stdin"]
        command += ["--dir", str(self.directory), "--netconf-port", str(self.netconf), "--gnmi-port", str(self.gnmi)]
        command += self._more
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.netconf, self.gnmi = ready["netconf"], ready["gnmi"]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def wait_for_end_without_parent(self, timeout_s: float) -> None:
        """Close its stdin, as the death of its parent would, and wait."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout_s)

    @contextmanager
    def session(self, base_10_only: bool = False) -> Iterator[Any]:
        capabilities = ["urn:ietf:params:netconf:base:1.0"] if base_10_only else None
        connection = manager.connect(
            host="127.0.0.1",
            port=self.netconf,
            username="onecity",
            password=self.password,
            hostkey_verify=False,
            allow_agent=False,
            look_for_keys=False,
            timeout=20,
            nc_params={"capabilities": capabilities} if capabilities else {},
        )
        try:
            yield connection
        finally:
            if self._process is None or self._process.poll() is not None:
                connection._session.close()  # killed: asking it to close would wait for the timeout
            else:
                with suppress(NCClientError):
                    connection.close_session()


def read(session: Any, path: str = "/*", source: str = "running") -> list[str]:
    """Return the texts that an XPath with `*[local-name()]` steps finds; names are given without namespaces."""
    data = session.get_config(source).data
    steps = "/".join(f"*[local-name()='{name}']" for name in path.split("/"))
    found = data.xpath(f".//{steps}")
    return [element.text or "" for element in found]


def plain_xml(session: Any, source: str = "running") -> bytes:
    return etree.tostring(session.get_config(source).data, method="c14n")
