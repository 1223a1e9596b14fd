"""What a server answers instead of `ok`: rpc-error as in RFC 6241 §4.3 and appendix A."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"


class NetconfError(Exception):
    """One rpc-error. `path` is an instance-identifier over the namespaces in `prefixes`."""

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        kind: str = "application",
        path: str = "",
        app_tag: str = "",
        prefixes: tuple[tuple[str, str], ...] = (),
        info: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.tag, self.message, self.kind = tag, message, kind
        self.path, self.app_tag, self.prefixes, self.info = path, app_tag, prefixes, info

    def xml(self) -> str:
        parts = [
            f"<rpc-error><error-type>{self.kind}</error-type><error-tag>{self.tag}</error-tag>",
            "<error-severity>error</error-severity>",
        ]
        if self.app_tag:
            parts.append(f"<error-app-tag>{escape(self.app_tag)}</error-app-tag>")
        if self.path:
            names = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in self.prefixes)
            parts.append(f"<error-path{names}>{escape(self.path)}</error-path>")
        parts.append(f'<error-message xml:lang="en">{escape(self.message)}</error-message>')
        if self.info:
            inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in self.info)
            parts.append(f"<error-info>{inner}</error-info>")
        return "".join((*parts, "</rpc-error>"))


class SeveralNetconfError(Exception):
    """Several rpc-errors that answer one request."""

    def __init__(self, errors: list[NetconfError]) -> None:
        super().__init__("; ".join(e.message for e in errors))
        self.errors = errors


def lock_denied(holder: int, why: str) -> NetconfError:
    """A lock that somebody else holds; holder 0: not a NETCONF session."""
    return NetconfError("lock-denied", why, kind="protocol", info=(("session-id", str(holder)),))
