"""Windows: when a service holds, from their shape to a value and back. Every kind of service writes them alike."""

from __future__ import annotations

from datetime import datetime

from controller.intent.clauses import Found, Plain
from controller.intent.documents import Path
from controller.intent.leaves import NOW
from controller.intent.model import RelativeWindow, Window
from controller.intent.quantities import LONGEST_WINDOW_S, instant_text, later, span_text
from controller.intent.shapes import WindowShape


def optional_window(shape: WindowShape | None, found: Found) -> Window | RelativeWindow | None:
    """Return the window of a service that may stand for good as well."""
    return None if shape is None else read_window(shape, found)


def read_window(shape: WindowShape, found: Found) -> Window | RelativeWindow:
    """Return the window; mistakes go to `found`."""
    where: Path = ("spec", "window")
    if shape.end is not None and shape.duration is not None:
        found.append(((*where, "duration"), "end and duration are both given; keep one of them"))
        return RelativeWindow(shape.duration)
    if isinstance(shape.end, str):
        found.append(((*where, "end"), '"now" is only a start; write a time with its zone, or a duration'))
        return RelativeWindow(0.0)
    if not isinstance(shape.start, datetime):
        if shape.duration is None:
            found.append((where, "start: now needs a duration; write for example duration: 2h"))
        return RelativeWindow(shape.duration or 0.0)
    if shape.end is None and shape.duration is None:
        found.append((where, "has no end; write end with a time and its zone, or duration as 2h"))
        return Window(shape.start, shape.start)
    return _absolute(shape.start, shape.end, shape.duration, found)


def _absolute(start: datetime, end: datetime | None, duration_s: float | None, found: Found) -> Window:
    where: Path = ("spec", "window")
    try:
        end = end if end is not None else later(start, duration_s or 0.0)
    except ValueError as error:
        found.append(((*where, "duration"), str(error)))
        return Window(start, start)
    if end <= start:
        problem = f"the window ends at {instant_text(end)}, not after its start {instant_text(start)}"
        found.append(((*where, "end"), f"{problem}; write a later end, or a duration as 2h"))
    elif (end - start).total_seconds() > LONGEST_WINDOW_S:
        problem = "the window is longer than a year (366d); what stays is a slice or plane without a window"
        found.append(((*where, "end"), problem))
    return Window(start, end)


def optional_plain(window: Window | RelativeWindow | None) -> Plain:
    """Return the field of a window; nothing where there is none."""
    return {} if window is None else {"window": window_plain(window)}


def window_plain(window: Window | RelativeWindow) -> Plain:
    """Return a window as people write it; an absolute one in UTC."""
    if isinstance(window, RelativeWindow):
        return {"start": NOW, "duration": span_text(window.duration_s)}
    return {"start": instant_text(window.start), "end": instant_text(window.end)}
