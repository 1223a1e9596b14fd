"""The operations that a session may ask for: one XML element in, the inside of an <rpc-reply> out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from lxml import etree

from lab.netconf.data import Data
from lab.netconf.datastore import Datastore
from lab.netconf.errors import BASE, NetconfError
from lab.netconf.reading import data_xml, select

_NC = f"{{{BASE}}}"
_NOTIFICATION = "{urn:ietf:params:xml:ns:netconf:notification:1.0}"
_DEFAULT_CONFIRM_S = 600
_OK = "<ok/>"
_TEST_OPTIONS = ("", "test-then-set", "set", "test-only")
_ERROR_OPTIONS = ("", "stop-on-error", "continue-on-error", "rollback-on-error")


class Caller(Protocol):
    """The session that asks."""

    id: int

    def subscribe(self) -> None: ...
    def end_after_reply(self) -> None: ...


class Operations:
    """All operations over one datastore. `operational` adds state to running; `kill` ends another session."""

    def __init__(self, datastore: Datastore, operational: Callable[[], Data], kill: Callable[[int], bool]) -> None:
        self._store, self._operational, self._kill = datastore, operational, kill
        self._known: Mapping[str, Callable[[etree._Element, Caller], str]] = {
            f"{_NC}get": self._get,
            f"{_NC}get-config": self._get_config,
            f"{_NC}edit-config": self._edit_config,
            f"{_NC}lock": self._lock,
            f"{_NC}unlock": self._unlock,
            f"{_NC}validate": self._validate,
            f"{_NC}commit": self._commit,
            f"{_NC}cancel-commit": self._cancel_commit,
            f"{_NC}discard-changes": self._discard,
            f"{_NC}close-session": self._close,
            f"{_NC}kill-session": self._kill_session,
            f"{_NOTIFICATION}create-subscription": self._create_subscription,
        }

    def call(self, operation: etree._Element, caller: Caller) -> str:
        """Carry out one operation; raises NetconfError, SeveralNetconfError."""
        known = self._known.get(operation.tag)
        if known is None:
            name = etree.QName(operation).localname
            raise NetconfError("operation-not-supported", f"{name} is not an operation of this server", kind="protocol")
        return known(operation, caller)

    def _get(self, operation: etree._Element, _caller: Caller) -> str:
        return self._selected(self._operational(), operation)

    def _get_config(self, operation: etree._Element, _caller: Caller) -> str:
        source = _named_store(operation, "source")
        return self._selected(self._store.running if source == "running" else self._store.candidate, operation)

    def _selected(self, data: Data, operation: etree._Element) -> str:
        chosen = operation.find(f"{_NC}filter")
        if chosen is not None and chosen.get("type", chosen.get(f"{_NC}type", "subtree")) != "subtree":
            raise NetconfError("operation-not-supported", "only subtree filters are supported", kind="protocol")
        return data_xml(self._store.schema, select(self._store.schema, data, chosen))

    def _edit_config(self, operation: etree._Element, caller: Caller) -> str:
        _only_candidate(_named_store(operation, "target"))
        config = operation.find(f"{_NC}config")
        if config is None:
            raise NetconfError("missing-element", "edit-config needs <config>; URLs are not supported", kind="protocol")
        default = _choice(operation, "default-operation", ("", "merge", "replace", "none")) or "merge"
        test = _choice(operation, "test-option", _TEST_OPTIONS)
        _choice(operation, "error-option", _ERROR_OPTIONS)  # an edit is always all or nothing
        self._store.edit(config, default, test, caller.id)
        return _OK

    def _lock(self, operation: etree._Element, caller: Caller) -> str:
        self._store.lock(_named_store(operation, "target"), caller.id)
        return _OK

    def _unlock(self, operation: etree._Element, caller: Caller) -> str:
        self._store.unlock(_named_store(operation, "target"), caller.id)
        return _OK

    def _validate(self, operation: etree._Element, _caller: Caller) -> str:
        self._store.validate(_named_store(operation, "source"))
        return _OK

    def _commit(self, operation: etree._Element, caller: Caller) -> str:
        persist, persist_id = _text(operation, "persist"), _text(operation, "persist-id")
        timeout = None
        if operation.find(f"{_NC}confirmed") is not None:
            timeout = _seconds(_text(operation, "confirm-timeout"))
        elif persist is not None:
            raise NetconfError("bad-element", "persist needs confirmed", kind="protocol")
        self._store.commit(caller.id, timeout, persist, persist_id)
        return _OK

    def _cancel_commit(self, operation: etree._Element, caller: Caller) -> str:
        self._store.cancel(caller.id, _text(operation, "persist-id"))
        return _OK

    def _discard(self, _operation: etree._Element, caller: Caller) -> str:
        self._store.discard(caller.id)
        return _OK

    def _close(self, _operation: etree._Element, caller: Caller) -> str:
        caller.end_after_reply()
        return _OK

    def _kill_session(self, operation: etree._Element, caller: Caller) -> str:
        text = _text(operation, "session-id") or ""
        if text == str(caller.id) or not text.isdigit() or not self._kill(int(text)):
            raise NetconfError("invalid-value", f"{text!r} is not another session")
        return _OK

    def _create_subscription(self, operation: etree._Element, caller: Caller) -> str:
        stream = operation.findtext(f"{_NOTIFICATION}stream", "NETCONF").strip()
        if stream != "NETCONF":
            raise NetconfError("invalid-value", f"there is no stream {stream}; there is NETCONF")
        if operation.find(f"{_NOTIFICATION}startTime") is not None:
            raise NetconfError("operation-not-supported", "the stream keeps no past notifications")
        caller.subscribe()
        return _OK


def _text(operation: etree._Element, name: str) -> str | None:
    text = operation.findtext(f"{_NC}{name}")
    return None if text is None else text.strip()


def _choice(operation: etree._Element, name: str, allowed: tuple[str, ...]) -> str:
    text = _text(operation, name) or ""
    if text not in allowed:
        raise NetconfError("invalid-value", f"{name}: {text!r} is none of {', '.join(allowed[1:])}", kind="protocol")
    return text


def _seconds(text: str | None) -> int:
    if text is None:
        return _DEFAULT_CONFIRM_S
    if not text.isdigit() or int(text) < 1:
        raise NetconfError("invalid-value", f"confirm-timeout: {text!r} is not a number of seconds", kind="protocol")
    return int(text)


def _named_store(operation: etree._Element, role: str) -> str:
    """Return running or candidate, whatever else is in <source> or <target>."""
    holder = operation.find(f"{_NC}{role}")
    names = [etree.QName(child).localname for child in holder] if holder is not None else []
    if names and names[0] in ("running", "candidate"):
        return names[0]
    if not names:
        raise NetconfError("missing-element", f"no datastore in <{role}>", kind="protocol")
    raise NetconfError("operation-not-supported", f"<{names[0]}> cannot be the {role} here", kind="protocol")


def _only_candidate(target: str) -> None:
    if target != "candidate":
        raise NetconfError("operation-not-supported", "only the candidate can be edited", kind="protocol")
