"""The `onecity` command: a client of the daemon with good manners.

It imports what a verb needs when the verb is called, so that `onecity --help` is there at once. `serve` and `lab`
join through the entry-point group `onecity.commands`: the object named there is called with the remaining
arguments and returns the exit code.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from controller.errors import OnecityError

ERROR, STOPPED = 1, 130
READING = (
    "validate",
    "get",
    "describe",
    "explain",
    "diff",
    "history",
    "blame",
    "topology",
    "simulate",
    "incidents",
    "proposals",
    "report",
    "schema",
    "version",
)
CHANGING = ("plan", "apply", "delete", "rollback", "watch", "backup", "drift")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code. Errors are sentences on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_streams()
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except OnecityError as error:
        return _failed(error)
    except BrokenPipeError:
        # `onecity … | head` closed the pipe: that is the reader's right.
        _write_nothing_more()
        return 0
    except OSError as error:
        _write_nothing_more()
        print(f"standard output cannot be written: {error.strerror or error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return STOPPED


def _open_streams() -> None:
    """Make both streams such that writing never ends in a traceback: closed ones, and alphabets without arrows."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 — lives as long as the process
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _write_nothing_more() -> None:
    """What is still buffered would be tried again at exit, and fail with a traceback."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(given: list[str]) -> int:
    if given and given[0] not in READING + CHANGING and not given[0].startswith("-"):
        return _beside(given[0], given[1:])
    from controller.cli.arguments import parser
    from controller.cli.screen import Screen

    if not given:
        parser().print_help()
        return 0
    parsed = parser().parse_args(given)
    screen = Screen()
    if parsed.verb in READING:
        if parsed.verb == "simulate":
            from controller.cli.simulating import simulate

            return simulate(parsed, screen)
        if parsed.verb in ("incidents", "proposals"):
            from controller.cli import incidents

            return int(getattr(incidents, parsed.verb)(parsed, screen))
        if parsed.verb == "report":
            from controller.cli.reporting import report

            return report(parsed, screen)
        from controller.cli import reading

        return int(getattr(reading, parsed.verb)(parsed, screen))
    from controller.cli import changing, drifting

    if parsed.verb == "drift":
        return drifting.drift(parsed, screen)
    return int(getattr(changing, parsed.verb)(parsed, screen))


def _beside(verb: str, arguments: list[str]) -> int:
    """Run a verb that another package brought."""
    from importlib.metadata import entry_points

    from controller.cli.errors import CommandError

    found = {point.name: point for point in entry_points(group="onecity.commands")}
    if verb not in found:
        known = ", ".join(sorted({*READING, *CHANGING, *found}))
        raise CommandError(f"there is no verb {verb}; there are {known}")
    return int(found[verb].load()(arguments))


def _failed(error: OnecityError) -> int:
    from controller.cli.errors import StoppedError

    try:
        sys.stdout.flush()
    except OSError:
        _write_nothing_more()
    text = str(error)
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")
    print(f"\x1b[31m{text}\x1b[0m" if colour else text, file=sys.stderr)
    return STOPPED if isinstance(error, StoppedError) else ERROR


if __name__ == "__main__":
    sys.exit(main())
