"""NETCONF message framing (RFC 6242), in time linear in what arrives.

ncclient's own parser decodes its whole buffer again for every 4 kB read, which turns a reply of some megabytes
(a domain's configuration) into seconds.
"""

from __future__ import annotations

import re

END_OF_MESSAGE = b"]]>]]>"
_CHUNK = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|(#))\n")
_LONGEST_HEADER = len("\n#4294967295\n")


class FramingError(Exception):
    """The peer sent bytes that are no NETCONF frame; the session cannot go on."""


class Deframer:
    """Collects bytes, gives messages. `chunked` becomes true once both hellos offered base:1.1."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to hold no end-of-message mark
        self._parts: list[bytes] = []  # chunks of the message under way

    def feed(self, data: bytes, *, chunked: bool) -> list[bytes]:
        """Return the messages that `data` completes, in order."""
        self._buffer += data
        messages = []
        while (message := self._chunked() if chunked else self._delimited()) is not None:
            messages.append(message)
        return messages

    def _delimited(self) -> bytes | None:
        end = self._buffer.find(END_OF_MESSAGE, self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(END_OF_MESSAGE) + 1)
            return None
        message = bytes(self._buffer[:end]).strip()
        del self._buffer[: end + len(END_OF_MESSAGE)]
        self._searched = 0
        return message

    def _chunked(self) -> bytes | None:
        position = 0
        try:
            while True:
                header = _CHUNK.match(self._buffer, position)
                if header is None:
                    if len(self._buffer) - position >= _LONGEST_HEADER:
                        raise FramingError(f"no chunk header in {bytes(self._buffer[position : position + 20])!r}")
                    return None
                if header[2]:
                    position = header.end()
                    message, self._parts = b"".join(self._parts), []
                    return message
                end = header.end() + int(header[1])
                if end > len(self._buffer):
                    return None
                self._parts.append(bytes(self._buffer[header.end() : end]))
                position = end
        finally:
            del self._buffer[:position]


def frame(message: bytes, *, chunked: bool) -> bytes:
    """Return the bytes that carry one message."""
    if chunked:
        return b"\n#%d\n%s\n##\n" % (len(message), message)
    return message + END_OF_MESSAGE
