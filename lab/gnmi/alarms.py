"""Alarms as openconfig-alarms lists them: `/system/alarms/alarm[id]/state/…`, there while they stand."""

from __future__ import annotations

import time

from lab.gnmi.paths import escape
from lab.gnmi.telemetry import TelemetryTree


def raise_alarm(tree: TelemetryTree, resource: str, type_id: str, severity: str, text: str) -> None:
    """Raise an alarm, or change the severity and text of one that stands. severity: as CRITICAL."""
    path = _path(resource, type_id)
    at_ns = time.time_ns()
    for leaf, value in (
        ("id", _id(resource, type_id)),
        ("resource", resource),
        ("type-id", type_id),
        ("severity", f"openconfig-alarm-types:{severity}"),
        ("text", text),
        ("time-created", str(at_ns)),
    ):
        tree.update(f"{path}/state/{leaf}", value, at_ns)


def clear_alarm(tree: TelemetryTree, resource: str, type_id: str) -> None:
    """Take an alarm away; nothing happens where it does not stand."""
    tree.remove(_path(resource, type_id))


def _id(resource: str, type_id: str) -> str:
    return f"{resource}/{type_id.rpartition(':')[2]}"


def _path(resource: str, type_id: str) -> str:
    return f"/system/alarms/alarm[id={escape(_id(resource, type_id))}]"
