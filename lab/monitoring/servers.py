"""A Prometheus and an Alertmanager of our own, from the system's packages: no containers, no system services.

Both listen on loopback only, keep their data in the directory they are given, and end with this process, however that
ends. Rules and routes are those that a real installation uses; only the waiting times are shorter.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from lab.ports import free_port
from lab.supervision import LabError

HERE = Path(__file__).resolve().parent
RULES = ("recording.yaml", "alerts.yaml")
READY_S = 20.0
STOP_S = 5.0
PACKAGES = {
    "prometheus": ("prometheus", ("prometheus",)),
    "alertmanager": ("prometheus-alertmanager", ("prometheus-alertmanager", "alertmanager")),
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as Alertmanager told it."""

    status: str  # "firing" | "resolved"
    name: str
    labels: dict[str, str]
    summary: str


def program(name: str) -> str:
    """Return the path of "prometheus" or "alertmanager"; raises LabError with the package to install."""
    package, names = PACKAGES[name]
    found = next((path for n in names if (path := shutil.which(n))), None)
    if found is None:
        raise LabError(f"there is no {name} here; on Debian: apt-get install --no-install-recommends {package}")
    return found


class Tickets:
    """Takes what Alertmanager tells, as a ticket system would. `url` is where."""

    def __init__(self, tell: Callable[[Alert], None] | None = None) -> None:
        self.alerts: list[Alert] = []
        self.groups: dict[str, str] = {}  # each would be one ticket: its key, and how it is
        taker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                taker.groups[told["groupKey"]] = told["status"]
                for one in told["alerts"]:
                    summary = one["annotations"].get("summary", "")
                    alert = Alert(one["status"], one["labels"]["alertname"], one["labels"], summary)
                    taker.alerts.append(alert)
                    if tell is not None:
                        tell(alert)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: alerts are told."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True, name="tickets").start()

    def heard(self, name: str, status: str) -> bool:
        """Say whether an alert of this name was told as firing or resolved."""
        return any(a.name == name and a.status == status for a in self.alerts)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Monitoring:
    """Both servers over one controller. Use as a context manager, or call `stop`."""

    def __init__(self, directory: Path, metrics: str, tickets: str, every_s: int = 1) -> None:
        """metrics: host:port of the controller, "" for an Alertmanager without a Prometheus; tickets: URL that is told
        of alerts; every_s: between scrapes."""
        self._processes: list[subprocess.Popen[bytes]] = []
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        web, alerts = free_port(), free_port()
        self.prometheus, self.alertmanager = f"http://127.0.0.1:{web}", f"http://127.0.0.1:{alerts}"
        try:
            self._start_alertmanager(alerts, tickets)
            if metrics:
                self._start_prometheus(web, alerts, metrics, every_s)
            self._await("alertmanager", f"{self.alertmanager}/-/ready")
            if metrics:
                self._await("prometheus", f"{self.prometheus}/-/ready")
        except BaseException:
            self.stop()
            raise

    def _start_alertmanager(self, port: int, tickets: str) -> None:
        configuration = yaml.safe_load((HERE / "alertmanager.yaml").read_text(encoding="utf-8"))
        configuration["route"].update(group_wait="1s", group_interval="1s", repeat_interval="1h")
        configuration["receivers"][0]["webhook_configs"][0]["url"] = tickets
        file = self._write("alertmanager.yaml", configuration)
        self._run(
            "alertmanager",
            f"--config.file={file}",
            f"--storage.path={self._directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        )

    def _start_prometheus(self, port: int, alertmanager: int, metrics: str, every_s: int) -> None:
        configuration = yaml.safe_load((HERE / "prometheus.yaml").read_text(encoding="utf-8"))
        configuration["global"] = {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"}
        configuration["rule_files"] = [str(self._hastened(name, every_s)) for name in RULES]
        configuration["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
        configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [metrics]
        file = self._write("prometheus.yaml", configuration)
        self._run(
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={self._directory / 'prometheus'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        )

    def _hastened(self, name: str, every_s: int) -> Path:
        """Return a copy of a file of rules whose groups are worked out at every scrape."""
        rules = yaml.safe_load((HERE / "rules" / name).read_text(encoding="utf-8"))
        for group in rules["groups"]:
            group["interval"] = f"{every_s}s"
            for rule in group["rules"]:
                if "keep_firing_for" in rule:
                    rule["keep_firing_for"] = f"{2 * every_s}s"
        return self._write(name, rules)

    def _write(self, name: str, content: Any) -> Path:
        file = self._directory / name
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return file

    def _run(self, name: str, *arguments: str) -> None:
        guard: Sequence[str] = ("-m", "lab.process", str(os.getpid())) if _in_main_thread() else ("-m",)
        line = [sys.executable, *guard, "lab.monitoring.become", program(name), *arguments]
        with (self._directory / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            )

    def _await(self, name: str, url: str) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if any(p.poll() is not None for p in self._processes):
                break
            try:
                with urllib.request.urlopen(url, timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        log = self._directory / f"{name}.log"
        words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        raise LabError(f"{name} did not start: {words[-1] if words else 'it said nothing'} (log {log})")

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask Prometheus' HTTP API; return what is under "data"."""
        url = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise LabError(f"Prometheus refused {parameters}: {error.read().decode(errors='replace')}") from None

    def query(self, expression: str) -> list[Any]:
        """Return the series that a PromQL expression has now."""
        return list(self.ask("query", query=expression)["result"])

    def stop(self) -> None:
        """End both."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Monitoring:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
