"""Windows that begin with their acceptance: dated once, when they are accepted, and kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from controller.changes.state import Standing
from controller.intent import FieldChange, Impact
from controller.intent.model import RelativeWindow, Service, Window


def starts_now(service: Service) -> bool:
    """Say whether the window of a service begins when it is accepted."""
    return isinstance(service.window, RelativeWindow)


def dated(service: Service, old: Standing | None, now: datetime) -> Service:
    """Return the service with its window absolute: as accepted before, while that one is still to come or open."""
    if not isinstance(service.window, RelativeWindow):
        return service
    written = old.service.window if old is not None else None
    kept = old is not None and written == service.window and not old.over(now)
    if kept and old is not None and old.placement.start and old.placement.end:
        return replace(service, window=Window(old.placement.start, old.placement.end))
    return replace(service, window=Window(now, now + timedelta(seconds=service.window.duration_s)))


def opened_again(ended: datetime, start: datetime) -> FieldChange:
    """What is different where the same intent opens a new window."""
    return FieldChange(
        "spec.window", f"over since {ended:%d %b %H:%M} UTC", f"from {start:%d %b %H:%M} UTC", Impact.NONE
    )
