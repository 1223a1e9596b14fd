"""`make demo`: the main job, once, as a network engineer would do it by hand; every command is shown as it is typed.

A city comes up, intents are planned and applied, what is measured stands beside what was promised, a fibre is cut,
and everything is stopped. Whatever ends this program, also kill -9, ends all that it started.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.supervision import LabError, RunningCity, start_city

READY_S = 30.0
SETTLE_S = 3.0  # for a failure to be told and repaired, and for what came back to have lasted
LOOK_S = 0.5
CALM_LOOKS = 2  # in a row
UNMEASURED = ("NoMeasurement", "Settling")  # reasons of conditions
MEASURED_S = 30.0  # sites of planes are measured every ten seconds: after a change not all have been at once
COMMAND_S = 120.0
PREFIX = "onecity-demo-"
SERVICE = "natural-resources/natural-resources"
FIBRE = "f-nanwan-buji"  # the first hop of that service's working path


@dataclass(frozen=True, slots=True)
class Stage:
    """The running city, the daemon over it, and the environment in which `onecity` is typed."""

    city: RunningCity
    daemon: subprocess.Popen[bytes]
    environment: dict[str, str]

    def type(self, line: str, *, may_end_with: Sequence[int] = (0,)) -> None:
        """Show a command, run it, show what it says; raises LabError where it ends otherwise than it should."""
        print(f"\n\033[1m$ onecity {line}\033[0m" if sys.stdout.isatty() else f"\n$ onecity {line}", flush=True)
        # A session of its own: a Ctrl-C is for the demo, and the command would advise to watch what is being ended.
        done = subprocess.run(
            [*_guarded(), *line.split()], env=self.environment, timeout=COMMAND_S, start_new_session=True
        )
        if done.returncode not in may_end_with:
            raise LabError(f"`onecity {line}` ended with {done.returncode}")

    def settle(self) -> None:
        """Wait until no repair is under way and all was measured since the last change and event; not for ever."""
        time.sleep(SETTLE_S)
        deadline, calm = time.monotonic() + MEASURED_S, 0
        while calm < CALM_LOOKS and time.monotonic() < deadline:
            unsettled = self._unsettled()
            calm = 0 if unsettled else calm + 1
            time.sleep(LOOK_S)
        if calm < CALM_LOOKS:
            print(f"\nNot measured again within {MEASURED_S:.0f} s: {', '.join(unsettled)}", flush=True)

    def _unsettled(self) -> list[str]:
        line = [*_guarded(), "get", "-o", "json"]
        done = subprocess.run(
            line, env=self.environment, capture_output=True, timeout=COMMAND_S, start_new_session=True
        )
        if done.returncode:
            raise LabError(f"`onecity get` ended with {done.returncode}: {done.stderr.decode().strip()}")
        return [
            s["service"]
            for s in json.loads(done.stdout)
            if s["phase"] == "committing" or any(c["reason"] in UNMEASURED for c in s["conditions"])
        ]


def say(text: str) -> None:
    print(f"\n── {text} ──", flush=True)


def main() -> int:
    """Run the demo; 0 if everything went as it should."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--city", default="longgang")
    parser.add_argument("--keep", action="store_true", help="leave city and daemon running until Ctrl-C")
    options = parser.parse_args()
    clear_away(Path(tempfile.gettempdir()))
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        with start_city(options.city, directory) as city:
            daemon, environment = serve(city)
            try:
                _play(Stage(city, daemon, environment))
                if options.keep:
                    print(f"\nStill up: ONECITY_SERVER={environment['ONECITY_SERVER']}. Ctrl-C ends it.", flush=True)
                    daemon.wait()
            finally:
                stop_daemon(daemon)
        say("stopped; nothing is left running")
        return 0
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        return 130
    except (LabError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def clear_away(room: Path) -> None:
    """Remove the directories of demos of ours that were killed: each carries the number of its process."""
    for directory in room.glob(f"{PREFIX}*-*"):
        pid = directory.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            if pid.isdecimal() and directory.stat().st_uid == os.getuid() and not directory.is_symlink():
                try:
                    os.kill(int(pid), 0)
                except ProcessLookupError:
                    shutil.rmtree(directory, ignore_errors=True)


def _play(stage: Stage) -> None:
    intents = intents_directory()
    say(f"{stage.city.city.title}: three IP networks over one optical base, each with its own controller")
    stage.type("topology domains")
    say("one slice, across two IP domains and the optical one: the plan first")
    stage.type(f"plan {intents}/natural-resources.yaml", may_end_with=(2,))
    stage.type(f"apply --yes {intents}/natural-resources.yaml")
    say("the city's whole catalogue: planes, slices, a conference of 300 parties, a finance plane of 1,300 sites")
    stage.type(f"apply --yes {intents}")
    stage.type(f"plan {intents}")
    stage.settle()
    say("what is measured, beside what was promised")
    stage.type("get")
    stage.type(f"describe {SERVICE}")
    say(f"a digger meets {FIBRE}: the slice's working path")
    stage.type(f"lab cut {FIBRE} --dir {stage.city.directory}")
    stage.settle()
    stage.type("get")
    stage.type(f"describe {SERVICE}")
    _metrics(stage)
    say("the fibre is spliced")
    stage.type(f"lab restore --all --dir {stage.city.directory}")
    stage.settle()
    stage.type("get")
    stage.type("diff")
    stage.type("history")


def intents_directory() -> Path:
    """Return where the scenarios are: in a checkout beside this package, in an installation inside it."""
    here = Path(__file__).resolve().parent
    found = next((p for p in (here.parent / "intents", here / "intents") if p.is_dir()), None)
    if found is None:
        raise LabError("the scenario intents are not installed")
    with suppress(ValueError):
        return found.relative_to(Path.cwd())
    return found


def _guarded() -> list[str]:
    """Return the `onecity` command that dies with us."""
    return [sys.executable, "-m", "lab.process", str(os.getpid()), "controller.cli.main"]


def serve(city: RunningCity) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start the daemon so that it dies with us, and wait until it serves."""
    settings = yaml.safe_load(city.config_path.read_text(encoding="utf-8"))
    environment = {**os.environ, "ONECITY_SERVER": settings["listen"], "ONECITY_METRICS": settings["metrics"]}
    daemon = subprocess.Popen(
        [*_guarded(), "serve", "--config", str(city.config_path)], stdout=subprocess.PIPE, env=environment
    )
    assert daemon.stdout is not None
    deadline = time.monotonic() + READY_S
    line = daemon.stdout.readline()
    if not line or time.monotonic() > deadline:
        stop_daemon(daemon)
        raise LabError("the daemon did not start; its reason is above")
    print(line.decode().strip(), flush=True)
    return daemon, environment


def stop_daemon(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _metrics(stage: Stage) -> None:
    """Show what Prometheus would scrape of the service that the cut touched."""
    with urllib.request.urlopen(f"http://{stage.environment['ONECITY_METRICS']}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    wanted = [line for line in text.splitlines() if SERVICE in line or line.startswith("onecity_domain_up")]
    print("\n$ curl -s http://…/metrics | grep -e natural-resources -e domain_up")
    print("\n".join(wanted), flush=True)


if __name__ == "__main__":
    sys.exit(main())
