"""How a report's figures are said, on the terminal and on the page alike."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from onecity.v1 import report_pb2 as pb

from controller.cli.quantities import NOTHING, seconds

VERDICTS = {
    pb.VERDICT_KEPT: ("kept", "green"),
    pb.VERDICT_MISSED: ("missed", "red"),
    pb.VERDICT_UNMEASURED: ("not measured", "yellow"),
    pb.VERDICT_UNPROMISED: ("no promise", "faint"),
}


def moment(stamp: Timestamp) -> str:
    """Return an instant as people write it, in UTC."""
    return f"{stamp.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M}"


def given(message: Any, name: str) -> float | None:
    """Return an optional field, None where it is not set."""
    return float(getattr(message, name)) if message.HasField(name) else None


def lasted(value: float | None) -> str:
    """4000 → "1 h 7 min"; what is short keeps its seconds."""
    if value is None:
        return NOTHING
    if value < 120:
        return seconds(value)
    minutes = round(value / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
