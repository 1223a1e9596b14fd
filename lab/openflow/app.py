"""The OpenFlow process of one domain, an application of Ryu's kind: what happens is put in one queue, one thread acts.

The front (NETCONF, gNMI) tells it the running configuration over the socket that it would tell the modelled plant;
switches tell it of ports; other domains what they reach. It programs its switches so that packets go where these say.
Whatever it misses while it is away is told again when it comes back, and until it knows everything it changes nothing:
the switches go on with what they hold.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from lab.openflow.brain import Brain
from lab.openflow.library import Application, handler, ofp_event, ofproto

_log = logging.getLogger(__name__)


class OneCity(Application):  # type: ignore[misc]
    """Hands OpenFlow's events to the domain's one thread."""

    OFP_VERSIONS = [ofproto.OFP_VERSION]  # noqa: RUF012 – the libraries' way

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        setting = os.environ
        self.brain = Brain(
            setting["ONECITY_LAB_CITY"],
            setting["ONECITY_LAB_DOMAIN"],
            Path(setting["ONECITY_LAB_DIR"]),
            int(setting["ONECITY_LAB_SCALE"]),
        )
        self.brain.start()

    @handler.set_ev_cls(ofp_event.EventOFPStateChange, [handler.MAIN_DISPATCHER, handler.DEAD_DISPATCHER])
    def state(self, event: Any) -> None:
        self.brain.tell("switch", event.datapath, event.state == handler.MAIN_DISPATCHER)

    @handler.set_ev_cls(ofp_event.EventOFPPortDescStatsReply, handler.MAIN_DISPATCHER)
    def ports(self, event: Any) -> None:
        self.brain.tell("ports", event.msg.datapath, event.msg.body)

    @handler.set_ev_cls(ofp_event.EventOFPPortStatus, handler.MAIN_DISPATCHER)
    def port(self, event: Any) -> None:
        gone = event.msg.reason == ofproto.OFPPR_DELETE
        self.brain.tell("port", event.msg.datapath, event.msg.desc, gone)

    @handler.set_ev_cls(ofp_event.EventOFPMeterConfigStatsReply, handler.MAIN_DISPATCHER)
    def meters(self, event: Any) -> None:
        self.brain.tell("meters", event.msg.datapath, event.msg.body)

    @handler.set_ev_cls(ofp_event.EventOFPGroupDescStatsReply, handler.MAIN_DISPATCHER)
    def groups(self, event: Any) -> None:
        self.brain.tell("groups", event.msg.datapath, event.msg.body)

    @handler.set_ev_cls(ofp_event.EventOFPFlowStatsReply, handler.MAIN_DISPATCHER)
    def rules(self, event: Any) -> None:
        last = not event.msg.flags & ofproto.OFPMPF_REPLY_MORE
        self.brain.tell("rules", event.msg.datapath, event.msg.body, last)

    @handler.set_ev_cls(ofp_event.EventOFPPortStatsReply, handler.MAIN_DISPATCHER)
    def counters(self, event: Any) -> None:
        self.brain.tell("counters", event.msg.datapath, event.msg.body)

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)
    def packet(self, event: Any) -> None:
        self.brain.tell("packet", event.msg.datapath, event.msg, time.monotonic_ns())

    @handler.set_ev_cls(ofp_event.EventOFPBarrierReply, handler.MAIN_DISPATCHER)
    def barrier(self, event: Any) -> None:
        self.brain.barrier(event.msg.datapath, event.msg.xid)

    @handler.set_ev_cls(ofp_event.EventOFPErrorMsg, [handler.CONFIG_DISPATCHER, handler.MAIN_DISPATCHER])
    def error(self, event: Any) -> None:
        message = event.msg
        _log.error("switch %x refused: type %d code %d", message.datapath.id or 0, message.type, message.code)
