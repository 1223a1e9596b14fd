"""Message framing of NETCONF over SSH (RFC 6242): end-of-message marks at first, chunks once both sides speak 1.1."""

from __future__ import annotations

_END = b"]]>]]>"
_LARGEST_CHUNK_HEADER = 13  # "\n#4294967295\n"


class FramingError(Exception):
    """The peer's bytes are no NETCONF framing; the session must end (RFC 6242 §4.2)."""


def framed(message: bytes, chunked: bool) -> bytes:
    """Return a message ready to send."""
    return b"\n#%d\n%b\n##\n" % (len(message), message) if chunked else message + _END


class Deframer:
    """Turns received bytes into messages, whatever pieces they come in."""

    def __init__(self) -> None:
        self.chunked = False
        self._buffer = bytearray()
        self._searched = 0  # how far the end mark has been looked for
        self._chunks: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message; None if more bytes are needed. Raises FramingError."""
        return self._next_chunked() if self.chunked else self._next_marked()

    def _next_marked(self) -> bytes | None:
        end = self._buffer.find(_END, max(0, self._searched - len(_END)))
        if end < 0:
            self._searched = len(self._buffer)
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        self._searched = 0
        return message

    def _next_chunked(self) -> bytes | None:
        while True:
            header_end = self._buffer.find(b"\n", 2, _LARGEST_CHUNK_HEADER)
            if header_end < 0:
                if len(self._buffer) >= _LARGEST_CHUNK_HEADER or not b"\n#".startswith(bytes(self._buffer[:2])):
                    raise FramingError("a chunk does not begin with its length")
                return None
            header = bytes(self._buffer[:header_end])
            if header == b"\n##":
                message, self._chunks = b"".join(self._chunks), []
                del self._buffer[: header_end + 1]
                return message
            if not header.startswith(b"\n#") or not header[2:].isdigit():
                raise FramingError("a chunk does not begin with its length")
            size = int(header[2:])
            if len(self._buffer) < header_end + 1 + size:
                return None
            self._chunks.append(bytes(self._buffer[header_end + 1 : header_end + 1 + size]))
            del self._buffer[: header_end + 1 + size]
