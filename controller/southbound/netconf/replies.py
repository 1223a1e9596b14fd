"""What a NETCONF server answered: data, warnings, or a refusal in its own words.

A warning is no error (RFC 6241 §4.3: severity). A refusal keeps tag, path and message as the server wrote them,
for they are what an engineer searches for in the vendor's manual.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from controller.errors import DomainError

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)


@dataclass(frozen=True, slots=True)
class RpcError:
    """One `rpc-error` of severity error."""

    tag: str
    path: str
    message: str
    session: str = ""  # error-info/session-id: who holds the lock

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Reply:
    """One `rpc-reply`, parsed."""

    root: etree._Element
    errors: tuple[RpcError, ...] = ()
    warnings: tuple[str, ...] = ()
    characters: int = 0  # length of its text: how long whoever goes through it will take

    def data(self) -> etree._Element | None:
        return self.root.find(f"{{{NC}}}data")


def parse_document(text: str) -> etree._Element:
    """Parse what a peer sent: no entities, no network, no limit on depth."""
    return etree.fromstring(text.encode("utf-8"), _PARSER)


def parse_reply(text: str) -> Reply:
    """Return the reply with its errors and warnings apart; raises etree.XMLSyntaxError."""
    root = parse_document(text)
    errors: list[RpcError] = []
    warnings: list[str] = []
    for element in root.findall(f"{{{NC}}}rpc-error"):
        error = RpcError(
            tag=_text(element, "error-tag"),
            path=_text(element, "error-path"),
            message=_text(element, "error-message") or _text(element, "error-app-tag") or "no message given",
            session=_text(element, "error-info", "session-id"),
        )
        if _text(element, "error-severity") == "warning":
            warnings.append(str(error))
        else:
            errors.append(error)
    return Reply(root, tuple(errors), tuple(warnings), len(text))


def refusal(domain: str, errors: tuple[RpcError, ...]) -> DomainError:
    """Return the refusal that a person sees; the first error leads, the others follow in its message.

    A message that repeats its path at its end loses it there, for the refusal names the path already.
    """
    first, *others = errors
    own_words = first.message.removesuffix(first.path).rstrip(": ") if first.path else first.message
    message = "; ".join([own_words, *(f"{error.tag}: {error}" for error in others)])
    return DomainError(domain, message, path=first.path, tag=first.tag)


def _text(element: etree._Element, *names: str) -> str:
    return (element.findtext("/".join(f"{{{NC}}}{name}" for name in names)) or "").strip()
