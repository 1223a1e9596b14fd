"""Alarms as openconfig-alarms lists them: `/system/alarms/alarm[id]/state/…`, there while they stand."""

from __future__ import annotations

import time
from collections.abc import Mapping

from lab.gnmi.paths import escape
from lab.gnmi.telemetry import TelemetryTree

LEAVES = ("id", "resource", "type-id", "severity", "text", "time-created")


def raise_alarm(tree: TelemetryTree, resource: str, type_id: str, severity: str, text: str) -> None:
    """Raise an alarm, or change the severity and text of one that stands. severity: as CRITICAL."""
    path = _path(resource, type_id)
    at_ns = time.time_ns()
    values = (_id(resource, type_id), resource, type_id, f"openconfig-alarm-types:{severity}", text, str(at_ns))
    for leaf, value in zip(LEAVES, values, strict=True):
        tree.update(f"{path}/state/{leaf}", value, at_ns)


def clear_alarm(tree: TelemetryTree, resource: str, type_id: str) -> None:
    """Take an alarm away; nothing happens where it does not stand."""
    state = f"{_path(resource, type_id)}/state"
    try:
        tree.value(f"{state}/id")
    except KeyError:
        return
    for leaf in LEAVES:  # one by one: to look for all that is below a path takes the time of the whole tree
        tree.remove(f"{state}/{leaf}")


def take_alarms(tree: TelemetryTree, alarms: Mapping[str, str]) -> None:
    """Raise or clear what equipment complains of by itself. alarms: "resource/TYPE" → severity; "": cleared."""
    for alarm, severity in alarms.items():
        resource, _, type_id = alarm.rpartition("/")
        if severity:
            raise_alarm(tree, resource, type_id, severity, f"{type_id} on {resource}")
        else:
            clear_alarm(tree, resource, type_id)


def _id(resource: str, type_id: str) -> str:
    return f"{resource}/{type_id.rpartition(':')[2]}"


def _path(resource: str, type_id: str) -> str:
    return f"/system/alarms/alarm[id={escape(_id(resource, type_id))}]"
