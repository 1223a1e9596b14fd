"""What subscribers are told (RFC 5277): configuration moved, a confirmed commit started or ended, a link changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from lab.netconf.data import Delta
from lab.netconf.datastore import ConfigChanged, ConfirmedCommitEvent
from lab.netconf.schema import LIST, InstancePath, Schema, SchemaNode

_NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
_CONFIG = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
_CITY = "urn:onecity:params:xml:ns:yang:onecity-binding"
MOST_EDITS = 100  # named in one notification


def notification(body: str) -> bytes:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return f'<notification xmlns="{_NOTIFICATION}"><eventTime>{now}</eventTime>{body}</notification>'.encode()


def config_change(schema: Schema, event: ConfigChanged, user: str) -> bytes:
    """netconf-config-change of RFC 6470, naming the entries that changed."""
    edits: list[str] = []
    for path, operation in _places(schema.root, event.change, ()):
        if len(edits) == MOST_EDITS:
            break
        edits.append(f"<edit><target>{escape(schema.text(path))}</target><operation>{operation}</operation></edit>")
    names = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in schema.namespaces())
    return notification(
        f'<netconf-config-change xmlns="{_CONFIG}"{names}><changed-by>{_by(event.session, user)}</changed-by>'
        f"<datastore>running</datastore>{''.join(edits)}</netconf-config-change>"
    )


def confirmed_commit(event: ConfirmedCommitEvent, user: str) -> bytes:
    """netconf-confirmed-commit of RFC 6470."""
    by = "" if event.event == "timeout" else _by(event.session, user)
    timeout = f"<timeout>{event.timeout_s}</timeout>" if event.timeout_s else ""
    return notification(
        f'<netconf-confirmed-commit xmlns="{_CONFIG}">{by}<confirm-event>{event.event}</confirm-event>{timeout}'
        "</netconf-confirmed-commit>"
    )


def link_state(network: str, link: str, up: bool) -> bytes:
    """Our own: the published modules have no notification for a link that goes down."""
    return notification(
        f'<link-state-change xmlns="{_CITY}"><network-id>{escape(network)}</network-id>'
        f"<link-id>{escape(link)}</link-id><oper-status>{'up' if up else 'down'}</oper-status></link-state-change>"
    )


def _by(session: int, user: str) -> str:
    if not session:
        return "<server/>"
    return f"<username>{escape(user)}</username><session-id>{session}</session-id><source-host>127.0.0.1</source-host>"


def _places(node: SchemaNode, change: Delta, path: InstancePath) -> Iterator[tuple[InstancePath, str]]:
    """The topmost places that a delta makes, replaces or removes."""
    for name, value in change.items():
        child = node.children[name]
        if child.kind == LIST and isinstance(value, dict):
            for key, entry in value.items():
                yield from _place(child, (*path, (name, key)), entry)
        else:
            yield from _place(child, (*path, name), value)


def _place(node: SchemaNode, path: InstancePath, value: Any) -> Iterator[tuple[InstancePath, str]]:
    if value is None:
        yield path, "delete"
    elif isinstance(value, tuple):
        yield path, "replace"
    else:
        yield from _places(node, value, path)
