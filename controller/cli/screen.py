"""Where the command writes: tables that stay straight with wide characters, colour only where a terminal reads.

Colour repeats what words say already; NO_COLOR (no-color.org), a pipe or a dumb terminal turns it off.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1", "faint": "2"}
_ESCAPES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Screen:
    """Standard output and standard error of one run."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.out, self.err = out or sys.stdout, err or sys.stderr
        self.terminal = _is_terminal(self.out)
        self.coloured = self.terminal and not os.environ.get("NO_COLOR")

    def paint(self, text: str, colour: str) -> str:
        """Return the text in a colour, or as it is."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.coloured and colour else text

    def line(self, text: str = "") -> None:
        """Write one line of the answer."""
        self.out.write(text + "\n")

    def note(self, text: str) -> None:
        """Write beside the answer: a warning, a question, an error."""
        self.out.flush()
        self.err.write(text + "\n")
        self.err.flush()

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
        """Write columns two spaces apart; `right` are the columns of numbers."""
        cells = [list(head), *[list(row) for row in rows]]
        for i, row in enumerate(columns(cells, right=right)):
            self.line(self.paint(row, "bold") if i == 0 else row)


def columns(rows: Sequence[Sequence[str]], *, indent: str = "", right: Sequence[int] = ()) -> list[str]:
    """Return the rows with every column as wide as its widest cell."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((width(row[c]) for row in rows if c < len(row)), default=0) for c in range(count)]
    lines = []
    for row in rows:
        padded = [_pad(cell, widths[c], c in right) for c, cell in enumerate(row)]
        lines.append((indent + "  ".join(padded)).rstrip())
    return lines


def width(text: str) -> int:
    """Return how many columns a terminal needs: Chinese characters take two, escapes none."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    plain = _ESCAPES.sub("", text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in plain)


def harmless(text: str) -> str:
    """Take control characters out of what came from the network: a terminal would obey them."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _pad(text: str, columns_: int, right: bool) -> str:
    space = " " * (columns_ - width(text))
    return space + text if right else text + space


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
