"""Why a service goes where it goes, as a person reads it: the way in use first, then who lost and why."""

from __future__ import annotations

from onecity.v1 import explanation_pb2 as pb

from controller.cli.quantities import NOTHING, count, percent, seconds
from controller.cli.screen import Screen, columns, harmless

LAYERS = {"ip": "IP layer", "odu": "optical layer, timeslots", "wavelength": "optical layer, wavelengths"}
MOST_NODES = 7


def show_explanation(screen: Screen, found: pb.Explanation) -> None:
    """Write the reasons, the kinds of isolation and the ways between each two ends."""
    screen.line(f"{screen.paint(found.service, 'bold')}  {found.kind}")
    for reason in found.reasons:
        screen.line(f"  {harmless(reason)}")
    if found.isolations:
        _section(screen, "isolation")
        head = ["", "isolation", "delay", "price", "why"]
        rows = [
            [
                _mark(k.chosen),
                k.isolation,
                seconds(k.delay_s) if k.HasField("delay_s") else NOTHING,
                _price(k.price) if k.HasField("price") else NOTHING,
                harmless(k.verdict),
            ]
            for k in found.isolations
        ]
        for line in columns([head, *rows], indent="  "):
            screen.line(line)
    for choice in found.choices:
        _section(screen, f"{choice.a}–{choice.z}, {LAYERS.get(choice.layer, choice.layer)}")
        head = ["", "delay", "hops", "load", "price", "why", "way"]
        rows = [
            [
                _mark(o.chosen),
                seconds(o.delay_s),
                str(o.hops),
                percent(o.load),
                _price(o.price),
                harmless(o.verdict),
                _way(list(o.way)),
            ]
            for o in choice.options
        ]
        for line in columns([head, *rows], indent="  "):
            screen.line(line)
    if found.left_out:
        screen.line(screen.paint(f"  … {count(found.left_out, 'more pair')} of ends like these", "faint"))
    screen.line()
    screen.line("price: one channel over one fibre is 1. Judged on the network as it is now.")


def _section(screen: Screen, title: str) -> None:
    screen.line()
    screen.line(screen.paint(harmless(title), "bold"))


def _mark(chosen: bool) -> str:
    return "*" if chosen else ""


def _price(value: float) -> str:
    return f"{value:.3g}"


def _way(way: list[str]) -> str:
    """The nodes; what lies between them is in the document for programs."""
    nodes = [harmless(n) for n in way[::2]]
    if len(nodes) > MOST_NODES:
        nodes = [*nodes[: MOST_NODES - 1], f"… {len(nodes) - MOST_NODES} more", nodes[-1]]
    return " → ".join(nodes)
