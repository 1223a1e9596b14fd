"""What of `onecity lab` breaks a city and repairs it: one verb for each fault that the plant knows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from lab.quantities import decibels, duration, length, rate, ratio, span
from lab.supervision import LabError

Verb = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
Tell = Callable[[argparse.Namespace, dict[str, Any]], int]  # sends a command to the plant and prints its sentence


def add_faults(verb: Verb, tell: Tell) -> None:
    """Add the verbs; `verb` makes one, from its name, what it runs and what it does in a line."""
    cut = verb("cut", lambda o: tell(o, {"type": "cut", "fibre": o.fibre}), "cut a fibre, or every fibre in a duct")
    cut.add_argument("fibre")
    what = "make a link, a fibre or a wavelength lossy, slow or unsteady"
    degrade = verb("degrade", lambda o: tell(o, _degraded(o)), what)
    degrade.add_argument("link")
    degrade.add_argument("--loss", type=ratio, help="1%% or 0.01")
    degrade.add_argument("--delay", type=duration, help="5ms")
    degrade.add_argument("--jitter", type=duration, help="2ms: so much later than most come the slowest packets")
    degrade.add_argument(
        "--light", type=decibels, help="lost on a fibre (32dB leaves little margin) or in a patch cord"
    )
    degrade.add_argument("--rate", type=rate, help="real packets: a link that carries no more than 1Gbps")
    degrade.add_argument("--over", type=duration, help="30s: the light goes little by little")
    detour = verb("detour", lambda o: tell(o, _longer(o)), "lead a fibre or a wavelength a longer way, untold")
    detour.add_argument("way", help="a fibre or a wavelength")
    detour.add_argument("--by", type=length, required=True, help="12km; 3 km more are told by their dispersion")
    down = verb("down", lambda o: tell(o, {"type": "down", "node": o.node}), "switch a node off")
    down.add_argument("node")
    fail = verb("fail", lambda o: tell(o, {"type": "fail", "circuit": o.circuit}), "break a line card of a circuit")
    fail.add_argument("circuit")
    flood = verb("flood", lambda o: tell(o, _flooded(o)), "fill one direction of a link with somebody else's traffic")
    flood.add_argument("link")
    flood.add_argument("--rate", type=rate, required=True, help="130Gbps; more than the link carries congests it")
    stick = verb("stick", lambda o: tell(o, _stuck(o)), "have a circuit or tunnel stay on its first way, dead or not")
    stick.add_argument("name", help="a circuit or tunnel")
    stick.add_argument("--unnoticed", action="store_true", help="its domain believes that it has switched")
    alarm = verb("alarm", lambda o: tell(o, _complaint(o)), "have equipment raise an alarm that nothing explains")
    alarm.add_argument("name", help="a node or fibre")
    alarm.add_argument("--kind", default="FAN", help="FAN (default), TEMPERATURE, any word")
    alarm.add_argument("--severity", choices=("warning", "minor", "major", "critical"), default="minor")
    lie = verb(
        "lie",
        lambda o: tell(o, {"type": "lie", "domain": o.domain}),
        "have a domain controller go on telling what it told last, whatever happens to its network",
    )
    lie.add_argument("domain")
    clock = verb("clock", lambda o: tell(o, _stepped(o)), "set the clock of a domain controller wrong")
    clock.add_argument("domain")
    clock.add_argument("--ahead", type=span, help="1h: its measurements come from the future")
    clock.add_argument("--behind", type=span, help="5min: its measurements look old")
    restore = verb("restore", lambda o: tell(o, _restored(o)), "repair one thing, or everything")
    restore.add_argument("what", nargs="?", help="a fibre, link, node, circuit, tunnel or domain")
    restore.add_argument("--all", action="store_true", help="repair everything")


def _degraded(options: argparse.Namespace) -> dict[str, Any]:
    worn = {"loss": options.loss, "delay_s": options.delay, "jitter_s": options.jitter, "light_db": options.light}
    worn |= {"rate_bps": options.rate}
    if all(value is None for value in worn.values()):
        raise LabError("degrade needs --loss, --delay, --jitter or --light, as --loss 1%, --delay 5ms or --light 32dB")
    worn |= {"in_s": options.over}
    return {"type": "degrade", "link": options.link, **{k: v or 0.0 for k, v in worn.items()}}


def _longer(options: argparse.Namespace) -> dict[str, Any]:
    return {"type": "detour", "link": options.way, "longer_m": options.by}


def _flooded(options: argparse.Namespace) -> dict[str, Any]:
    return {"type": "flood", "link": options.link, "rate_bps": options.rate}


def _stuck(options: argparse.Namespace) -> dict[str, Any]:
    return {"type": "stick", "name": options.name, "unnoticed": options.unnoticed}


def _complaint(options: argparse.Namespace) -> dict[str, Any]:
    return {"type": "alarm", "name": options.name, "kind": options.kind, "severity": options.severity}


def _stepped(options: argparse.Namespace) -> dict[str, Any]:
    if (options.ahead is None) == (options.behind is None):
        raise LabError("clock needs either --ahead or --behind, as --ahead 1h or --behind 5min")
    step_s = options.ahead if options.behind is None else -options.behind
    return {"type": "clock", "domain": options.domain, "step_s": step_s}


def _restored(options: argparse.Namespace) -> dict[str, Any]:
    if not options.all and options.what is None:
        raise LabError("say what to restore, or --all; `onecity lab status` names what is broken")
    return {"type": "restore", "what": "all" if options.all else options.what}


def broken_lines(status: Mapping[str, Any]) -> list[str]:
    """Return a line for everything that the plant's status says is broken."""
    lines = [*(f"{f} is cut" for f in status["cut"]), *(f"{n} is down" for n in status["down"])]
    lines += [
        f"{k} loses {d['loss']:.2%}, {d['delay_s'] * 1e3:g} ms slower, {d.get('light_db', 0.0):.1f} dB dimmer"
        + (f", varies by {d['jitter_s'] * 1e3:g} ms" if d.get("jitter_s") else "")
        for k, d in status["degraded"].items()
    ]
    lines += [f"a line card of {circuit} is broken" for circuit in status["failed"]]
    lines += [f"{link} carries {bps / 1e9:g} Gbit/s of somebody else's" for link, bps in status["floods"].items()]
    lines += [f"{way} is {m / 1000:g} km longer than anybody was told" for way, m in status.get("detours", {}).items()]
    lines += [f"{k} carries no more than {bps / 1e9:g} Gbit/s" for k, bps in status.get("narrowed", {}).items()]
    lines += [f"{alarm} is raised for nothing" for alarm in status.get("alarms", ())]
    lines += [f"{name} stays on its first way" for name in status["stuck"]]
    lines += [f"{domain} goes on telling what it told last" for domain in status["lying"]]
    return lines + [f"the clock of {domain} is {step_s:+g} s wrong" for domain, step_s in status["clocks"].items()]
