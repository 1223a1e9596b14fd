"""Packets that routers themselves send and read: ARP (RFC 826), neighbour discovery (RFC 4861), measurements."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lab.plant.units import Address

ARP, IPV4, IPV6, VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
_BROADCAST = b"\xff" * 6
_SOLICITATION, _ADVERTISEMENT = 135, 136
UDP = 17


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody on a VLAN says who he is and maybe asks who somebody else is (None: he only answers)."""

    vlan: int
    mac: str
    sender: Address
    wanted: Address | None


def raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def text(mac: bytes) -> str:
    return mac.hex(":")


def read_question(frame: bytes) -> Question | None:
    """Read an ARP or neighbour discovery frame; None for any other."""
    vlan, kind, at = header(frame)
    if kind == ARP and len(frame) >= at + 28:
        operation, mac, sender, _, target = struct.unpack_from("!6xH6s4s6s4s", frame, at)
        wanted = (4, int.from_bytes(target, "big")) if operation == 1 else None
        return Question(vlan, text(mac), (4, int.from_bytes(sender, "big")), wanted)
    if kind == IPV6 and len(frame) >= at + 64 and frame[at + 6] == 58:
        return _read_discovery(frame, at, vlan)
    return None


def _read_discovery(frame: bytes, at: int, vlan: int) -> Question | None:
    message = frame[at + 40 :]
    target = (6, int.from_bytes(message[8:24], "big"))
    if message[0] == _ADVERTISEMENT:
        return Question(vlan, text(frame[6:12]), target, None)
    if message[0] == _SOLICITATION:
        return Question(vlan, text(frame[6:12]), (6, int.from_bytes(frame[at + 8 : at + 24], "big")), target)
    return None


def header(frame: bytes) -> tuple[int, int, int]:
    """Return (VLAN or 0, kind, offset of what follows)."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == VLAN:
        return int.from_bytes(frame[14:16], "big") & 0xFFF, int.from_bytes(frame[16:18], "big"), 18
    return 0, kind, 14


def _ethernet(destination: bytes, source: str, vlan: int, kind: int) -> bytes:
    tag = struct.pack("!HH", VLAN, vlan) if vlan else b""
    return destination + raw(source) + tag + struct.pack("!H", kind)


def ask(vlan: int, mac: str, ours: Address, wanted: Address) -> bytes:
    """Build the question who has an address."""
    if wanted[0] == 4:
        body = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, 1, raw(mac), _bytes(ours), bytes(6), _bytes(wanted))
        return _ethernet(_BROADCAST, mac, vlan, ARP) + body
    low = _bytes(wanted)[13:]
    group = bytes.fromhex("ff0200000000000000000001ff") + low
    body = bytes(4) + _bytes(wanted) + b"\x01\x01" + raw(mac)
    return _ethernet(b"\x33\x33\xff" + low, mac, vlan, IPV6) + _icmp6(_SOLICITATION, body, _bytes(ours), group)


def answer(question: Question, mac: str) -> bytes:
    """Build the answer that it is us."""
    assert question.wanted is not None
    peer, ours = raw(question.mac), question.wanted
    if ours[0] == 4:
        body = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, 2, raw(mac), _bytes(ours), peer, _bytes(question.sender))
        return _ethernet(peer, mac, question.vlan, ARP) + body
    body = b"\xe0\0\0\0" + _bytes(ours) + b"\x02\x01" + raw(mac)  # router, solicited, override
    packet = _icmp6(_ADVERTISEMENT, body, _bytes(ours), _bytes(question.sender))
    return _ethernet(peer, mac, question.vlan, IPV6) + packet


def _icmp6(kind: int, body: bytes, source: bytes, destination: bytes) -> bytes:
    message = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = source + destination + struct.pack("!II", len(message), 58)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    return struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + destination + message


def datagram(
    source_mac: str, source: Address, destination: Address, protocol: int, ports: tuple[int, int], payload: bytes
) -> bytes:
    """Build an Ethernet frame with an IP packet of any protocol whose first words are ports, as TCP and UDP have."""
    if protocol == UDP:
        segment = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    else:
        segment = struct.pack("!HHIIBBHHH", *ports, 0, 0, 5 << 4, 0, 0, 0, 0) + payload
    if source[0] == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, protocol, 0)
        addresses = _bytes(source) + _bytes(destination)
        total = checksum(head + addresses)
        packet = head[:10] + struct.pack("!H", total) + addresses + segment
        return _ethernet(b"\x02" + bytes(5), source_mac, 0, IPV4) + packet
    packet = struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + _bytes(source) + _bytes(destination) + segment
    return _ethernet(b"\x02" + bytes(5), source_mac, 0, IPV6) + packet


def payload_of(frame: bytes) -> bytes:
    """Return what `datagram` was given as payload; b"" where the frame is none of its kind."""
    _, kind, at = header(frame)
    if len(frame) < at + 20:
        return b""
    if kind == IPV4:
        protocol, at = frame[at + 9], at + 4 * (frame[at] & 15)
    elif kind == IPV6:
        protocol, at = frame[at + 6], at + 40
    else:
        return b""
    return frame[at + (8 if protocol == UDP else 20) :]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _bytes(address: Address) -> bytes:
    return address[1].to_bytes(4 if address[0] == 4 else 16, "big")
