"""One switch as its OpenFlow process sees it: what it holds, and how it comes to hold something else.

A change goes in three strokes, each finished on every switch before the next begins (see `update.py`):
build what nobody uses yet, switch over in one atomic bundle a switch (ONF extension 230), remove what nobody uses any
more. A switch that connects is read first; what it holds and should hold is left alone, so that packets flow on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from lab.openflow.library import nicira, ofproto
from lab.openflow.program import ENTRY_TABLES, Action, Group, Instruction, Key, Meter, Program, cookie

BARRIER_S = 10.0
_log = logging.getLogger(__name__)


class Switch:
    """A connected switch. Only one thread changes it; any may read `ports`."""

    def __init__(self, node: str, datapath: Any) -> None:
        self.node, self.datapath, self._parser = node, datapath, datapath.ofproto_parser
        self.ports: dict[str, tuple[int, bool]] = {}  # interface → (number, alive)
        self.holds = Program()
        self.known = False  # whether we have read what it holds
        self._found_rules: list[Any] = []
        self._strange: list[Any] = []  # rules of an earlier process that nobody wants
        self._barriers: dict[int, threading.Event] = {}
        self._bundle = 0

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self) -> None:
        """Ask for everything that the switch holds; the answers come to `found…`."""
        p, dp = self._parser, self.datapath
        dp.send_msg(p.OFPPortDescStatsRequest(dp, 0))
        dp.send_msg(p.OFPMeterConfigStatsRequest(dp, 0, ofproto.OFPM_ALL))
        dp.send_msg(p.OFPGroupDescStatsRequest(dp, 0))
        dp.send_msg(p.OFPFlowStatsRequest(dp, 0, ofproto.OFPTT_ALL, ofproto.OFPP_ANY, ofproto.OFPG_ANY, 0, 0))

    def found_meters(self, meters: Iterable[Any]) -> None:
        for meter in meters:
            self.holds.meters[meter.meter_id] = Meter(-1, -1)  # whatever its rate: it is told anew

    def found_groups(self, groups: Iterable[Any]) -> None:
        for group in groups:
            self.holds.groups[group.group_id] = Group(((-1, ()),))

    def found_rules(self, rules: Iterable[Any], last: bool) -> None:
        self._found_rules += rules
        self.known = self.known or last

    def recognise(self, wanted: Program) -> None:
        """Match what was found with what is wanted, by the cookies that name rules by their content."""
        by_cookie = {cookie(key, steps): (key, steps) for key, steps in wanted.rules.items()}
        for rule in self._found_rules:
            key_steps = by_cookie.pop(rule.cookie, None)
            if key_steps is not None and key_steps[0][:2] == (rule.table_id, rule.priority):
                self.holds.rules[key_steps[0]] = key_steps[1]
            else:
                self._strange.append(rule)
        self._found_rules = []

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, wanted: Program) -> None:
        """Add what nobody uses yet: meters, groups, and rules of the tables further down."""
        for number, meter in wanted.meters.items():
            if self.holds.meters.get(number) != meter:
                self._send_meter(number, meter, number in self.holds.meters)
        for number, group in wanted.groups.items():
            if number not in self.holds.groups:
                self._send(self._group(ofproto.OFPGC_ADD, number, group))
                self.holds.groups[number] = group
        for key, steps in wanted.rules.items():
            if key[0] not in ENTRY_TABLES and key not in self.holds.rules:
                self._send(self._add(key, steps))
                self.holds.rules[key] = steps

    def switch_over(self, wanted: Program) -> int:
        """Bring entry tables, changed rules and changed groups to what is wanted, all at once; return how many."""
        messages = []
        for number, group in wanted.groups.items():
            if self.holds.groups.get(number) != group:
                messages.append(self._group(ofproto.OFPGC_MODIFY, number, group))
                self.holds.groups[number] = group
        for key, steps in wanted.rules.items():
            if self.holds.rules.get(key) != steps:
                messages.append(self._add(key, steps))
                self.holds.rules[key] = steps
        for key in [k for k in self.holds.rules if k[0] in ENTRY_TABLES and k not in wanted.rules]:
            messages.append(self._delete(key[0], key[1], self._match(key[2])))
            del self.holds.rules[key]
        # An earlier process's entry may stand over one of ours with another match: it goes in the same stroke.
        replaced, self._strange = self._strange, []
        for rule in replaced:
            if rule.table_id in ENTRY_TABLES:
                messages.insert(0, self._delete(rule.table_id, rule.priority, rule.match))
            else:
                self._strange.append(rule)
        self._send_bundle(messages)
        return len(messages)

    def remove(self, wanted: Program) -> None:
        """Take away what nobody uses any more."""
        for rule in self._strange:
            self._send(self._delete(rule.table_id, rule.priority, rule.match))
        for key in [k for k in self.holds.rules if k not in wanted.rules]:
            self._send(self._delete(key[0], key[1], self._match(key[2])))
            del self.holds.rules[key]
        if self._strange:  # one of them may have had the place and match of a rule that is wanted
            self._strange = []
            for key, steps in wanted.rules.items():
                if key[0] not in ENTRY_TABLES:
                    self._send(self._add(key, steps))
        for number in [n for n in self.holds.groups if n not in wanted.groups]:
            self._send(self._parser.OFPGroupMod(self.datapath, ofproto.OFPGC_DELETE, ofproto.OFPGT_FF, number, []))
            del self.holds.groups[number]
        for number in [n for n in self.holds.meters if n not in wanted.meters]:
            flags = ofproto.OFPMF_KBPS
            self._send(self._parser.OFPMeterMod(self.datapath, ofproto.OFPMC_DELETE, flags, number, []))
            del self.holds.meters[number]

    def leftovers(self, wanted: Program) -> bool:
        held = self.holds
        return bool(
            self._strange
            or held.rules.keys() - wanted.rules.keys()
            or held.groups.keys() - wanted.groups.keys()
            or held.meters.keys() - wanted.meters.keys()
        )

    def fork(self, groups: dict[int, Group]) -> None:
        """Change groups that the switch holds, at once and without ceremony: a link has gone dark."""
        for number, group in groups.items():
            if number in self.holds.groups and self.holds.groups[number] != group:
                self._send(self._group(ofproto.OFPGC_MODIFY, number, group))
                self.holds.groups[number] = group

    def packet_out(self, frame: bytes, port: int, in_port: int = ofproto.OFPP_CONTROLLER) -> None:
        actions = [self._parser.OFPActionOutput(port)]
        self._send(
            self._parser.OFPPacketOut(self.datapath, ofproto.OFP_NO_BUFFER, in_port, actions=actions, data=frame)
        )

    def ask_counters(self) -> None:
        self._send(self._parser.OFPPortStatsRequest(self.datapath, 0, ofproto.OFPP_ANY))

    def barrier(self) -> threading.Event:
        """Send a barrier; the event is set once everything before it is done."""
        message, done = self._parser.OFPBarrierRequest(self.datapath), threading.Event()
        self.datapath.set_xid(message)
        self._barriers[message.xid] = done
        self._send(message)
        return done

    def barrier_passed(self, xid: int) -> None:
        done = self._barriers.pop(xid, None)
        if done is not None:
            done.set()

    # ── messages ────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, message: Any) -> None:
        self.datapath.send_msg(message)

    def _send_bundle(self, messages: Sequence[Any]) -> None:
        if not messages:
            return
        p, dp, flags = self._parser, self.datapath, ofproto.ONF_BF_ATOMIC | ofproto.ONF_BF_ORDERED
        self._bundle = self._bundle % 0x7FFF_FFFF + 1
        self._send(p.ONFBundleCtrlMsg(dp, self._bundle, ofproto.ONF_BCT_OPEN_REQUEST, flags, []))
        for message in messages:
            self._send(p.ONFBundleAddMsg(dp, self._bundle, flags, message, []))
        self._send(p.ONFBundleCtrlMsg(dp, self._bundle, ofproto.ONF_BCT_COMMIT_REQUEST, flags, []))

    def _send_meter(self, number: int, meter: Meter, there: bool) -> None:
        p, command = self._parser, ofproto.OFPMC_MODIFY if there else ofproto.OFPMC_ADD
        band = p.OFPMeterBandDrop(meter.rate_kbps, meter.burst_kbit)
        flags = ofproto.OFPMF_KBPS | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
        self._send(p.OFPMeterMod(self.datapath, command, flags, number, [band]))
        self.holds.meters[number] = meter

    def _group(self, command: int, number: int, group: Group) -> Any:
        p = self._parser
        buckets = [
            p.OFPBucket(watch_port=port, watch_group=ofproto.OFPG_ANY, actions=[self._action(a) for a in actions])
            for port, actions in group.buckets
        ]
        return p.OFPGroupMod(self.datapath, command, ofproto.OFPGT_FF, number, buckets)

    def _add(self, key: Key, steps: tuple[Instruction, ...]) -> Any:
        table, priority, match = key
        return self._parser.OFPFlowMod(
            self.datapath,
            cookie=cookie(key, steps),
            table_id=table,
            command=ofproto.OFPFC_ADD,
            priority=priority,
            match=self._match(match),
            instructions=[self._instruction(s) for s in steps],
        )

    def _delete(self, table: int, priority: int, match: Any) -> Any:
        return self._parser.OFPFlowMod(
            self.datapath,
            table_id=table,
            command=ofproto.OFPFC_DELETE_STRICT,
            priority=priority,
            out_port=ofproto.OFPP_ANY,
            out_group=ofproto.OFPG_ANY,
            match=match,
        )

    def _match(self, match: Sequence[tuple[str, Any]]) -> Any:
        return self._parser.OFPMatch(**{name: _value(name, value) for name, value in match})

    def _instruction(self, step: Instruction) -> Any:
        p = self._parser
        if step[0] == "apply":
            return p.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [self._action(a) for a in step[1]])
        make: dict[str, Callable[..., Any]] = {
            "metadata": p.OFPInstructionWriteMetadata,
            "goto": p.OFPInstructionGotoTable,
            "meter": lambda number: p.OFPInstructionMeter(number),
        }
        return make[step[0]](*step[1:])

    def _action(self, action: Action) -> Any:
        p, kind = self._parser, action[0]
        if kind == "set":
            return p.OFPActionSetField(**{action[1]: action[2]})
        if kind == "load":
            _, name, start, bits, value = action
            place = nicira.ofs_nbits(start, start + bits - 1)
            return p.NXActionRegLoad(ofs_nbits=place, dst=name, value=value)
        make: dict[str, Callable[..., Any]] = {
            "output": p.OFPActionOutput,
            "group": p.OFPActionGroup,
            "pop_vlan": p.OFPActionPopVlan,
            "push_vlan": p.OFPActionPushVlan,
            "dec_ttl": p.OFPActionDecNwTtl,
            "controller": lambda: p.OFPActionOutput(ofproto.OFPP_CONTROLLER, ofproto.OFPCML_NO_BUFFER),
        }
        return make[kind](*action[1:])


def _value(name: str, value: Any) -> Any:
    """Addresses go as text in these libraries, all else as it is."""
    address = IPv4Address if name.startswith("ipv4") else IPv6Address if name.startswith("ipv6") else None
    if address is None:
        return value
    return tuple(str(address(part)) for part in value) if isinstance(value, tuple) else str(address(value))
