"""`onecity lab …`: start and stop an emulated city, break it, repair it, and ask where a packet goes."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, NoReturn

from lab.breaking import add_faults, broken_lines
from lab.city import CityError, available, load_city
from lab.containerlab.export import export_containerlab
from lab.control import Control, ask
from lab.supervision import LabError, RunningCity, exchange, kept, operator_socket, start_city

ROOM, EXPORTS = Path(".onecity/lab"), Path(".onecity/containerlab")
LISTEN, METRICS = "127.0.0.1:50505", "127.0.0.1:9464"
DETACH_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


def command(arguments: list[str]) -> int:
    """Run one `onecity lab` command; return its exit code."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:
        return 0 if not end.code else 1
    try:
        return int(options.run(options))
    except (LabError, CityError) as error:
        print(f"onecity lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """Ends with one sentence that names what is near, not with a page of usage."""

    def error(self, message: str) -> NoReturn:
        print(f"onecity lab: {message}", file=sys.stderr)
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="onecity lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND", parser_class=_Parser)

    def verb(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=summary, description=summary)
        if name not in ("cities", "export"):
            sub.add_argument("--dir", type=Path, help=f"run directory (default {ROOM}/<city>)")
        sub.set_defaults(run=run)
        return sub

    up = verb("up", _up, "start a city")
    up.add_argument("city", help="a city's name, or a .yaml file")
    up.add_argument("--detach", action="store_true", help="return when it is ready; `lab stop` ends it")
    up.add_argument("--domains", help="only these domain controllers, separated by commas")
    up.add_argument("--listen", help=f"what onecity.yaml tells the daemon to listen on (default: as before, {LISTEN})")
    up.add_argument("--metrics", help=f"where it tells it to serve metrics (default: as before, {METRICS})")
    up.add_argument("--bring-up-scale", type=float, default=0.0, help="1: light takes minutes as in the field; 0: none")
    verb("stop", _stop, "end a detached city")
    verb("status", _status, "say what runs, what is dead and what is broken")
    restart = verb("restart", _restart, "start a dead domain controller, or the plant, again on its ports")
    restart.add_argument("name", help="as `lab status` names it")
    add_faults(verb, _tell)
    trace = verb("trace", _trace, "send one packet and say where it goes, hop by hop, and why it ends there")
    trace.add_argument("vpn", help="the service, as TENANT/NAME")
    trace.add_argument(
        "access", help="where the packet enters: an access by its name, which is its site's unless named"
    )
    trace.add_argument("dst", help="the address it is sent to, as 10.10.2.20")
    for name, kind, help_text in (
        ("domain", str, "where two domains have an access of this name: which"),
        ("src", str, "the sender's address (default: a host behind the access)"),
        ("proto", str, "tcp, udp or icmp (default udp)"),
        ("port", int, "destination port"),
        ("sport", int, "source port"),
    ):
        trace.add_argument(f"--{name}", type=kind, help=help_text)
    verb("cities", _cities, "list the cities that there are")
    export = verb("export", _export, "write a city for another tool to run: containerlab, with FRR routers")
    export.add_argument("tool", choices=["containerlab"])
    export.add_argument("city", help="a city's name, or a .yaml file")
    export.add_argument("--to", type=Path, metavar="DIR", help=f"where to (default {EXPORTS}/<city>)")
    return parser


# ── start and stop ──────────────────────────────────────────────────────────────────────────────────────────────────


def _up(options: argparse.Namespace) -> int:
    city = _city_name(options.city)
    directory: Path = options.dir or ROOM / Path(city).stem
    if options.detach:
        return _up_detached(city, directory, options)
    with _claim(directory):
        started, before = time.monotonic(), kept(directory)
        listen = options.listen or before.get("listen") or LISTEN
        metrics = options.metrics or before.get("metrics") or METRICS
        domains = options.domains.split(",") if options.domains else None
        with (
            start_city(
                city,
                directory,
                domains=domains,
                listen=listen,
                metrics=metrics,
                bring_up_scale=options.bring_up_scale,
            ) as running,
            contextlib.closing(Control(running)) as control,
        ):
            print(f"{running.city.title} is up after {time.monotonic() - started:.1f} s", flush=True)
            for name in running.domains:
                ports = ", ".join(f"{k} {v}" for k, v in running.domain_process(name).ports.items())
                print(f"  {name:<14}{ports}")
            print(f"  configuration {_short(running.config_path)}")
            print("Ctrl-C ends it.", flush=True)
            _wait(running, control)
    return 0


def _city_name(name: str) -> str:
    if not name.endswith(".yaml") and name not in available():
        near = get_close_matches(name, available(), 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(available())}"
        raise LabError(f"no city {name!r}; {hint}")
    load_city(name)
    return name


def _wait(running: RunningCity, control: Control) -> None:
    """Stay until a signal; a domain that dies is reported, its neighbours go on, and it is started again when asked."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: ended.append(number))
    missing: set[str] = set()
    while not ended:
        control.serve(0.1)
        for name in ("plant", *running.domains):
            if running.domain_process(name).alive():
                missing.discard(name)
            elif name not in missing:
                missing.add(name)
                log = running.directory / "logs" / f"{name}.log"
                print(f"{name} has ended; see {log}; `onecity lab restart {name}`", file=sys.stderr, flush=True)


def _up_detached(city: str, directory: Path, options: argparse.Namespace) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    arguments = [
        "up",
        city,
        "--dir",
        str(directory.resolve()),
    ]
    arguments += ["--listen", options.listen] if options.listen else []
    arguments += ["--metrics", options.metrics] if options.metrics else []
    arguments += ["--bring-up-scale", str(options.bring_up_scale)]
    arguments += ["--domains", options.domains] if options.domains else []
    program = f"import sys; from lab.command import command; sys.exit(command({arguments!r}))"
    log_path = directory / "lab.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + DETACH_TIMEOUT_S
    while time.monotonic() < deadline:
        said = log_path.read_text(errors="replace")
        if process.poll() is not None:
            raise LabError(said.strip().removeprefix("onecity lab: ") or "the city ended at once")
        if "Ctrl-C ends it." in said:
            print(said.replace("Ctrl-C ends it.", "`onecity lab stop` ends it.").rstrip())
            return 0
        time.sleep(0.02)
    process.terminate()
    raise LabError(f"the city was not ready after {DETACH_TIMEOUT_S:g} s; see {log_path}")


@contextlib.contextmanager
def _claim(directory: Path) -> Any:
    """Hold the run directory; the lock ends with the process, however that ends."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lab.pid").open("a+") as claim:
        if not _locked(claim):
            raise LabError(
                f"a city runs in {_short(directory)} already; `onecity lab stop --dir {_short(directory)}` ends it"
            )
        claim.truncate(0)
        claim.write(str(os.getpid()))
        claim.flush()
        yield


def _locked(claim: IO[str]) -> bool:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _stop(options: argparse.Namespace) -> int:
    directory = _running_directory(options.dir)
    with (directory / "lab.pid").open("r+") as claim:
        pid = int(claim.read() or 0)
        if pid > 1:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not _locked(claim):
            if time.monotonic() > deadline:
                raise LabError(
                    f"the city in {_short(directory)} did not end within {STOP_TIMEOUT_S:g} s (process {pid})"
                )
            time.sleep(0.02)
    print(f"the city in {_short(directory)} has ended")
    return 0


def _running_directory(asked: Path | None) -> Path:
    """Return the run directory meant: the one given, or the only one in which a city runs."""
    if asked is not None:
        if not _runs(asked):
            raise LabError(
                f"no city runs in {_short(asked)}; start one with: onecity lab up CITY --dir {_short(asked)}"
            )
        return asked
    found = [d for d in sorted(ROOM.glob("*")) if _runs(d)]
    if not found:
        raise LabError(
            f"no city runs under {ROOM}; start one with: onecity lab up {available()[0]}, or name its place by --dir"
        )
    if len(found) > 1:
        raise LabError(f"several cities run; say which with --dir: {', '.join(str(d) for d in found)}")
    return found[0]


def _runs(directory: Path) -> bool:
    claim_path = directory / "lab.pid"
    if not claim_path.exists():
        return False
    with claim_path.open("r+") as claim:
        return not _locked(claim)


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


# ── operate ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ask(options: argparse.Namespace, message: dict[str, Any]) -> dict[str, Any]:
    """Send one command to the plant; raises LabError with its sentence."""
    directory = options.dir if options.dir is not None else _running_directory(None)
    with operator_socket(directory) as connection, connection.makefile("rb") as lines:
        answer = exchange(connection, lines, message)
    if not answer.get("ok"):
        raise LabError(str(answer.get("error", "the plant refused")))
    return answer


def _tell(options: argparse.Namespace, message: dict[str, Any]) -> int:
    print(_ask(options, message)["message"])
    return 0


def _restart(options: argparse.Namespace) -> int:
    ask(options.dir if options.dir is not None else _running_directory(None), type="restart", name=options.name)
    print(f"{options.name} runs again, on the ports it had")
    return 0


def _status(options: argparse.Namespace) -> int:
    alive = ask(options.dir if options.dir is not None else _running_directory(None), type="processes")
    dead = [name for name, lives in alive.items() if not lives]
    for name in dead:
        print(f"{name} is dead; `onecity lab restart {name}` starts it again")
    if "plant" in dead:
        return 1
    answer = _ask(options, {"type": "status"})
    print(f"{answer['city']} is up" + (f", without {', '.join(dead)}" if dead else ""))
    for domain, units in answer["units"].items():
        print(f"  {domain:<14}{units} units of configuration")
    for link in answer["lit"]:
        state = f"over {link['circuit'] or 'no circuit'}, {'up' if link['up'] else 'down'}"
        print(f"  {link['link']} is lit: {link['rate_bps'] / 1e9:g} Gbit/s {state}")
    broken = broken_lines(answer)
    print("\n".join(f"  {line}" for line in broken) or "  nothing is broken")
    return 1 if dead else 0


def _trace(options: argparse.Namespace) -> int:
    message = {"type": "trace", "vpn": options.vpn.replace("/", "."), "access": options.access, "dst": options.dst}
    for name in ("domain", "src", "proto", "port", "sport"):
        if getattr(options, name) is not None:
            message[name] = getattr(options, name)
    answer = _ask(options, message)
    print("\n".join(f"{n:>3}  {hop}" for n, hop in enumerate(answer["hops"], 1)))
    if answer["delivered"] is None:
        return 1
    print(f"     {answer['delay_s'] * 1e3:.3f} ms one way")
    return 0


def _cities(options: argparse.Namespace) -> int:
    for name in available():
        city = load_city(name)
        routers = sum(len(d.nodes) for d in city.ip.values())
        size = f"{len(city.optical.nodes)} OTN nodes, {len(city.optical.fibres)} fibres, {routers} routers"
        print(f"{name:<12}{city.title}: {size}")
    return 0


def _export(options: argparse.Namespace) -> int:
    city = _city_name(options.city)
    path = export_containerlab(city, options.to or EXPORTS / Path(city).stem)
    print(f"wrote {_short(path)}; run it with: containerlab deploy -t {_short(path)}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run without the `onecity` command around it."""
    return command(list(arguments if arguments is not None else sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
