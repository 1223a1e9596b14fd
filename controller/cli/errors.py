"""How the command ends when it cannot do what was asked: one sentence, exit code 1, never a traceback."""

from __future__ import annotations

from controller.errors import OnecityError


class CommandError(OnecityError):
    """What went wrong, as a person should read it; already complete with place and remedy."""


class StoppedError(OnecityError):
    """The person stopped the command. Exit code 130, as shells expect after Ctrl-C."""
