"""What libraries would say on standard error past us. Import this before gRPC, which reads its setting once.

Everything they have to tell reaches people as an error or a log line of ours that names the domain; their own lines
are stack traces of a refused or ended connection.
"""

from __future__ import annotations

import logging
import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

_TALKATIVE = ("ncclient", "paramiko")


def quieten() -> None:
    """Silence the libraries' loggers; `onecity serve --verbose` leaves them be."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
