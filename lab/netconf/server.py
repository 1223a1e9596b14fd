"""Sessions over SSH. Each message is answered before the next is read, so pipelined requests keep their order."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import asyncssh
from lxml import etree

from lab.netconf.data import Data
from lab.netconf.datastore import ConfigChanged, ConfirmedCommitEvent, Datastore
from lab.netconf.errors import BASE, NetconfError, SeveralNetconfError
from lab.netconf.framing import Deframer, FramingError, framed
from lab.netconf.notices import config_change, confirmed_commit, link_state
from lab.netconf.operations import Operations
from lab.netconf.schema import Schema

_CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:base:1.1",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
    "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
    "urn:ietf:params:netconf:capability:validate:1.1",
    "urn:ietf:params:netconf:capability:notification:1.0",
    "urn:ietf:params:netconf:capability:interleave:1.0",
    "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications?module=ietf-netconf-notifications&revision=2012-02-06",
)
_RPC = f"{{{BASE}}}rpc"
_HELLO = f"{{{BASE}}}hello"
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    huge_tree=True,
    remove_blank_text=True,
    remove_comments=True,
    remove_pis=True,
)


@dataclass(frozen=True, slots=True)
class Login:
    """Who may come in, and the key by which they know the server."""

    username: str
    password: str
    host_key: asyncssh.SSHKey


class NetconfServer:
    """All sessions with one device."""

    def __init__(self, datastore: Datastore, operational: Callable[[], Data], login: Login) -> None:
        self.datastore, self._login = datastore, login
        self._operations = Operations(datastore, operational, self.kill)
        self._sessions: dict[int, NetconfSession] = {}
        self._last_id = 0
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self.stutters = False  # every reply is sent twice, as no server should
        datastore.listen(self._tell_subscribers)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        self._acceptor = await asyncssh.create_server(
            lambda: _SshLogin(self, self._login),
            host,
            port,
            server_host_keys=[self._login.host_key],
            encoding=None,
            line_editor=False,
            allow_scp=False,
            compression_algs=["none"],
            keepalive_interval=30,
        )
        return self._acceptor.get_port()

    async def stop(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()

    def hello(self, session: int) -> bytes:
        return _hello(self.datastore.schema, session)

    def enter(self, session: NetconfSession) -> int:
        self._last_id += 1
        self._sessions[self._last_id] = session
        return self._last_id

    def leave(self, session: int) -> None:
        if self._sessions.pop(session, None) is not None:
            self.datastore.session_ended(session)

    def kill(self, session: int) -> bool:
        """End another session; False if there is none of that number."""
        victim = self._sessions.get(session)
        if victim is None:
            return False
        self.leave(session)
        victim.abort()
        return True

    def call(self, operation: etree._Element, caller: NetconfSession) -> str:
        return self._operations.call(operation, caller)

    def link_changed(self, network: str, link: str, up: bool) -> None:
        """Tell subscribers that a link went up or down."""
        self._publish(link_state(network, link, up))

    def _tell_subscribers(self, event: ConfigChanged | ConfirmedCommitEvent) -> None:
        if not any(session.subscribed for session in self._sessions.values()):
            return
        if isinstance(event, ConfigChanged):
            self._publish(config_change(self.datastore.schema, event, self._login.username))
        else:
            self._publish(confirmed_commit(event, self._login.username))

    def _publish(self, message: bytes) -> None:
        for session in self._sessions.values():
            if session.subscribed:
                session.notify(message)


def _hello(schema: Schema, session: int) -> bytes:
    modules = (f"{m['namespace']}?module={name}&revision={m['revision']}" for name, m in schema.modules.items())
    listed = "".join(f"<capability>{c.replace('&', '&amp;')}</capability>" for c in (*_CAPABILITIES, *modules))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><hello xmlns="{BASE}"><capabilities>{listed}</capabilities>'
        f"<session-id>{session}</session-id></hello>"
    ).encode()


class _SshLogin(asyncssh.SSHServer):
    """One SSH connection: a name and a password, compared in constant time."""

    def __init__(self, server: NetconfServer, login: Login) -> None:
        self._server, self._login = server, login

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        same_password = hmac.compare_digest(password.encode(), self._login.password.encode())
        return hmac.compare_digest(username.encode(), self._login.username.encode()) and same_password

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return NetconfSession(self._server)


class NetconfSession(asyncssh.SSHServerSession[bytes]):
    """One session: its framing, its subscription, its place in the server's list."""

    def __init__(self, server: NetconfServer) -> None:
        self._server = server
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._deframer = Deframer()
        self._greeted = False
        self._ending = False
        self._held_back: list[bytes] = []  # notifications that came while a request was being answered
        self._answering = False
        self.subscribed = False
        self.id = 0

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        self.id = self._server.enter(self)
        self._write(framed(self._server.hello(self.id), chunked=False))

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._deframer.feed(data)
        try:
            while not self._ending and (message := self._deframer.next_message()) is not None:
                self._take(message)
        except FramingError:
            self.abort()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def subscribe(self) -> None:
        self.subscribed = True

    def end_after_reply(self) -> None:
        self._ending = True

    def abort(self) -> None:
        """Close without a word."""
        self._end()
        if self._channel is not None:
            self._channel.abort()

    def notify(self, message: bytes) -> None:
        if self._answering:
            self._held_back.append(message)
        else:
            self._send(message)

    def _end(self) -> None:
        self._ending = True
        self.subscribed = False
        if self.id:
            self._server.leave(self.id)

    def _take(self, message: bytes) -> None:
        try:
            root = etree.fromstring(message.strip(), _PARSER)
        except etree.XMLSyntaxError as error:
            self._send(_reply({}, NetconfError("malformed-message", f"not XML: {error}", kind="rpc").xml()))
            return
        if not self._greeted:
            self._greet(root)
            return
        self._answering = True
        answer = self._answer(root)
        self._answering = False
        self._send(answer)
        if self._server.stutters:
            self._send(answer)
        for held in self._held_back:
            self._send(held)
        self._held_back.clear()
        if self._ending and self._channel is not None:
            self._end()
            self._channel.exit(0)

    def _greet(self, hello: etree._Element) -> None:
        """Both sides must offer a common base; 1.1 on both changes the framing (RFC 6242 §4.1)."""
        offered = {(e.text or "").strip() for e in hello.iter(f"{{{BASE}}}capability")}
        if hello.tag != _HELLO or not offered & set(_CAPABILITIES[:2]):
            self.abort()
            return
        self._greeted = True
        self._deframer.chunked = _CAPABILITIES[1] in offered

    def _answer(self, rpc: etree._Element) -> bytes:
        attributes = {str(name): str(value) for name, value in rpc.attrib.items()}
        try:
            if rpc.tag != _RPC or len(rpc) != 1:
                raise NetconfError("malformed-message", "expected <rpc> with one operation", kind="rpc")
            if "message-id" not in attributes:
                info = (("bad-attribute", "message-id"), ("bad-element", "rpc"))
                raise NetconfError("missing-attribute", "an rpc needs a message-id", kind="rpc", info=info)
            return _reply(attributes, self._server.call(rpc[0], self))
        except NetconfError as error:
            return _reply(attributes, error.xml())
        except SeveralNetconfError as several:
            return _reply(attributes, "".join(error.xml() for error in several.errors))
        except OSError as error:
            return _reply(attributes, NetconfError("operation-failed", f"the journal cannot be written: {error}").xml())

    def _send(self, message: bytes) -> None:
        self._write(framed(message, self._deframer.chunked))

    def _write(self, data: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)


def _reply(attributes: dict[str, str], body: str) -> bytes:
    given = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items() if not name.startswith("{"))
    return f'<rpc-reply xmlns="{BASE}"{given}>{body}</rpc-reply>'.encode()
