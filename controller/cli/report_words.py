"""How a report's figures are said, on the terminal and on the page alike."""

from __future__ import annotations

from datetime import UTC
from math import floor
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
MOST_TIMES = 1000  # nobody has to know more exactly how often a budget was spent


def moment(stamp: Timestamp) -> str:
    """Return an instant as people write it, in UTC."""
    return f"{stamp.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M}"


def given(message: Any, name: str) -> float | None:
    """Return an optional field, None where it is not set."""
    return float(getattr(message, name)) if message.HasField(name) else None


def budget_left(one: pb.ServiceReport) -> str:
    """Return "52 % of 8 min left" of the time that may be outside the promise, or "8 min, spent 3.2 times over"."""
    left, budget_s = given(one, "budget_left_ratio"), given(one, "budget_s")
    if left is None or budget_s is None:
        return NOTHING
    if left >= 0:
        return f"{floor(left * 100)} % of {lasted(budget_s)} left"
    times = f"{1 - left:.3g}" if 1 - left < MOST_TIMES - 0.5 else f"more than {MOST_TIMES:,}"
    return f"{lasted(budget_s)}, spent {times} times over"


def burn_rate(one: pb.ServiceReport) -> str:
    """Return "2.5×": how fast that is spent, 1× being exactly what the promise allows."""
    rate = given(one, "burn_rate")
    return NOTHING if rate is None else f"{rate:.3g}×"


def seen(one: pb.ServiceReport) -> str:
    """Return "98% of 6 h": how much of the time that was counted somebody could see it in."""
    counted_s = one.measured_s + one.unseen_s
    if not counted_s:
        return NOTHING
    share = one.measured_s / counted_s
    return f"{floor(share * 1000) / 10:g} % of {lasted(counted_s)}"


def lasted(value: float | None) -> str:
    """4000 → "1 h 7 min"; what is short keeps its seconds."""
    if value is None:
        return NOTHING
    if value < 120:
        return seconds(value)
    minutes = round(value / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
