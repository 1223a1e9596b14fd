"""What the optical domain knows of its equipment's state, and what it tells of it.

The plant is the truth: up or down, latency and margin come from there, never from the configuration. Before the
plant has answered, and while it is away, a circuit is down rather than pretended up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from onecity.optical.v1 import optical_pb2 as pb

from lab.gnmi import TelemetryTree
from lab.gnmi.alarms import clear_alarm, raise_alarm, take_alarms
from lab.gnmi.paths import escape
from lab.optical.containers import MODES, RX_WARNING_DB
from lab.optical.engine import Engine, Lit
from lab.optical.equipment import INFRASTRUCTURE
from lab.optical.lines import Lines
from lab.plant.link import PlantLink

_LEGS = {"working": pb.ACTIVE_LEG_WORKING, "protect": pb.ACTIVE_LEG_PROTECT, "none": pb.ACTIVE_LEG_NONE}
_KINDS = ("ports", "nodes", "fibres", "odu_links")
_ALARMS = {  # resource, type and severity as OpenConfig has them (openconfig-alarms), text
    "fibres": ("fibre:{}", "LOS", "CRITICAL", "no light on {}"),
    "odu_links": ("odu:{}", "AIS", "MAJOR", "no frames on {}"),
    "nodes": ("node:{}", "EQPT", "CRITICAL", "{} does not answer"),
}
_SECONDS = {  # of the plant's samples, and as OpenConfig has them in a logical channel's otn/state
    "errored_s": "errored-seconds",
    "severely_errored_s": "severely-errored-seconds",
    "unavailable_s": "unavailable-seconds",
}
_EQUIPMENT = {
    "fibres": "/onecity-flow:fibres/fibre[id={}]",
    "odu_links": "/onecity-flow:odu-links/odu-link[id={}]",
    "nodes": "/onecity-flow:nodes/node[id={}]",
}


class World:
    """Joins engine, plant and telemetry. `on_event` hears the ids that changed, for WatchTopology."""

    def __init__(self, engine: Engine, socket: Path, tree: TelemetryTree) -> None:
        self.engine, self.tree = engine, tree
        self.up: dict[str, dict[str, bool]] = {kind: {} for kind in _KINDS}
        self.circuits: dict[str, dict[str, Any]] = {}
        self.link = PlantLink(socket, engine.equipment.domain.name, self._units, self._heard)
        self._lines = Lines(engine.equipment, tree)
        self._received: dict[str, str] = {}  # wavelengths whose receivers have told something → their mode then
        self.on_event: Callable[[Sequence[str]], None] = lambda changed: None
        engine.on_change = self._lit

    def _units(self) -> dict[str, Any]:
        service = (c.spec for c in self.engine.circuits.values() if c.spec.owner != INFRASTRUCTURE)
        return {f"circuit/{spec.id}": _document(spec) for spec in service}

    def _lit(self, lit: Lit) -> None:
        put = {f"circuit/{circuit}": _document(spec) for circuit, spec in lit.items() if spec is not None}
        gone = [circuit for circuit, spec in lit.items() if spec is None]
        self.link.send(put, [f"circuit/{circuit}" for circuit in gone])
        for circuit in gone:
            self.circuits.pop(circuit, None)
            self.tree.remove(f"/onecity-flow:circuits/circuit[id={circuit}]")
            if circuit in self._received:  # to look for what is below a path takes the time of the whole tree
                del self._received[circuit]
                self.tree.remove(f"/components/component[name={escape(circuit)}]")
                self.tree.remove(f"/terminal-device/logical-channels/channel[index={circuit}]")
        self.on_event(sorted(lit))

    def _heard(self, message: dict[str, Any]) -> None:
        if message["type"] == "state":
            self._state(message)
        elif message["type"] == "samples":
            self._samples(message)

    def _state(self, message: Mapping[str, Any]) -> None:
        changed = []
        for kind in _KINDS:
            for name, up in message.get(kind, {}).items():
                if self.up[kind].get(name) is not up:
                    self.up[kind][name] = up
                    changed.append(name)
                    self._stream_equipment(kind, name, up)
                    self._stream_alarm(kind, name, up)
        for circuit, state in message.get("circuits", {}).items():
            if circuit in self.engine.circuits and self.circuits.get(circuit) != state:
                self.circuits[circuit] = state
                self._stream_state(circuit, state)
                changed.append(circuit)
        take_alarms(self.tree, message.get("alarms", {}))
        if changed:
            self.on_event(changed)

    def _stream_equipment(self, kind: str, name: str, up: bool) -> None:
        """Tell the state of what no model lists on change: fibres, lit ODU links, nodes."""
        if kind in _EQUIPMENT:
            self.tree.update(f"{_EQUIPMENT[kind].format(escape(name))}/state/oper-status", "UP" if up else "DOWN")

    def _stream_alarm(self, kind: str, name: str, up: bool) -> None:
        """Raise an alarm in /system/alarms for what is down, and clear it with what is up again."""
        if kind not in _ALARMS:
            return
        resource, type_id, severity, text = _ALARMS[kind]
        if up:
            clear_alarm(self.tree, resource.format(name), type_id)
        else:
            standard = f"openconfig-alarm-types:{type_id}"
            raise_alarm(self.tree, resource.format(name), standard, severity, text.format(name))

    def _stream_state(self, circuit: str, state: Mapping[str, Any]) -> None:
        base = f"/onecity-flow:circuits/circuit[id={circuit}]/state"
        self.tree.update(f"{base}/oper-status", "UP" if state["up"] else "DOWN")
        self.tree.update(f"{base}/active-leg", state["active"])
        media = f"/wavelength-router/media-channels/channel[index={circuit}]/state/oper-status"
        self.tree.update(media, "UP" if state["up"] else "DOWN")
        aps = f"/aps/aps-modules/aps-module[name={circuit}]/state/active-path"
        spec = self.engine.circuits[circuit].spec
        if spec.HasField("protect") and not spec.protect_shared:
            self.tree.update(aps, "SECONDARY" if state["active"] == "protect" else "PRIMARY")

    def _samples(self, message: Mapping[str, Any]) -> None:
        at_ns = int(message["at"] * 1e9)
        self._lines.fibres(message.get("fibres", {}), at_ns)
        self._lines.kept(self.engine.circuits)
        for circuit, sample in message.get("circuits", {}).items():
            if circuit not in self.engine.circuits:
                continue
            if "errored_s" in sample:
                self._stream_seconds(circuit, sample, at_ns)
            if not sample["up"]:
                continue  # a dark circuit has no latency, no margin and no error rate: a gap, not a zero
            base = f"/onecity-flow:circuits/circuit[id={circuit}]/state"
            self.tree.update(f"{base}/latency-ns", str(round(sample["latency_s"] * 1e9)), at_ns)
            self.tree.update(f"{base}/loss-ratio", str(sample["loss_ratio"]), at_ns)
            if sample.get("margin_db") is not None:
                self.tree.update(f"{base}/margin-db", f"{sample['margin_db']:.2f}", at_ns)
                otn = f"/terminal-device/logical-channels/channel[index={circuit}]/otn/state"
                self.tree.update(f"{otn}/pre-fec-ber/instant", f"{sample['pre_fec_ber']:.3e}", at_ns)
                if circuit in self.circuits:  # light may fade without any change of state
                    self.circuits[circuit]["margin_db"] = sample["margin_db"]
                self._lines.light(self.engine.circuits[circuit].spec, sample["margin_db"], sample["pre_fec_ber"])
            if "rx_dbm" in sample:
                self._stream_receiver(circuit, sample, at_ns)

    def _stream_seconds(self, circuit: str, sample: Mapping[str, Any], at_ns: int) -> None:
        """Tell the seconds that a wavelength's receiver counted, in the dark too, and the limits of its light."""
        mode = self.engine.circuits[circuit].spec.mode
        if self._received.get(circuit) != mode:
            self._stream_limits(circuit, mode)
        otn = f"/terminal-device/logical-channels/channel[index={circuit}]/otn/state"
        for value, leaf in _SECONDS.items():
            self.tree.update(f"{otn}/{leaf}", str(sample[value]), at_ns)

    def _stream_limits(self, circuit: str, mode: str) -> None:
        """Tell below which power a receiver is blind and below which it warns, where its mode has a limit.

        OpenConfig lists them by severity, the highest that equipment knows as critical.
        """
        thresholds = f"/components/component[name={escape(circuit)}]/transceiver/thresholds"
        if circuit in self._received:
            self.tree.remove(thresholds)
        self._received[circuit] = mode
        line = MODES.get(mode)
        if line is None or line.least_rx_dbm is None:
            return
        for name, limit_dbm in (("CRITICAL", line.least_rx_dbm), ("WARNING", line.least_rx_dbm + RX_WARNING_DB)):
            severity = f"openconfig-alarm-types:{name}"
            state = f"{thresholds}/threshold[severity={severity}]/state"
            self.tree.update(f"{state}/severity", severity)
            self.tree.update(f"{state}/input-power-lower", f"{limit_dbm:.2f}")

    def _stream_receiver(self, circuit: str, sample: Mapping[str, Any], at_ns: int) -> None:
        """Tell what a wavelength's receiver measures; while it is dark its leaves grow old, and are not told again."""
        channel = f"/components/component[name={escape(circuit)}]/optical-channel/state"
        self.tree.update(f"{channel}/input-power/instant", f"{sample['rx_dbm']:.2f}", at_ns)
        self.tree.update(f"{channel}/chromatic-dispersion/instant", f"{sample['dispersion_ps_nm']:.2f}", at_ns)
        otn = f"/terminal-device/logical-channels/channel[index={circuit}]/otn/state"
        self.tree.update(f"{otn}/fec-uncorrectable-blocks", str(sample["uncorrectable_blocks"]), at_ns)

    # ── messages ────────────────────────────────────────────────────────────────────────────────────────────────

    def circuit(self, standing: pb.Circuit) -> pb.Circuit:
        """Return a circuit with the state that the plant last gave it."""
        message = pb.Circuit()
        message.CopyFrom(standing)
        state = self.circuits.get(standing.spec.id, {"up": False, "active": "none", "latency_s": 0.0})
        message.state = pb.OPER_STATE_UP if state["up"] else pb.OPER_STATE_DOWN
        message.active_leg = _LEGS[state["active"]]
        message.latency_ns = round((state.get("latency_s") or 0.0) * 1e9)
        if state.get("margin_db") is not None:
            message.margin_db = state["margin_db"]
        return message

    def topology(self) -> pb.GetTopologyResponse:
        engine, equipment = self.engine, self.engine.equipment
        claims = engine.claims
        names: dict[int, str] = {}
        for fibre in equipment.fibres.values():
            names.update(zip(fibre.srlgs, fibre.ducts, strict=True))
        return pb.GetTopologyResponse(
            revision=engine.revision,
            nodes=[pb.Node(id=n, site=s, state=self._oper("nodes", n)) for n, s in equipment.sites.items()],
            client_ports=[
                pb.ClientPort(
                    id=p.id,
                    node=p.node,
                    rates_bps=p.rates_bps,
                    lock_id=p.lock_id or 0,
                    site=p.site or "",
                    used_by=claims.whole_port_holder(p.id),
                    state=self._oper("ports", p.id),
                )
                for p in equipment.ports.values()
            ],
            photonic_links=[
                pb.PhotonicLink(
                    id=f.id,
                    a_node=f.a,
                    z_node=f.z,
                    length_m=f.length_m,
                    loss_db=f.loss_db,
                    srlgs=f.srlgs,
                    channels=equipment.domain.channels,
                    occupied=sorted(claims.labels("channel", f.id)),
                    state=self._oper("fibres", f.id),
                )
                for f in equipment.fibres.values()
            ],
            odu_links=[
                pb.OduLink(
                    id=link.id,
                    a_node=link.a,
                    z_node=link.z,
                    server_circuit=link.circuit,
                    odu="ODU4",
                    slots=link.slots,
                    free_slots=sorted(set(range(1, link.slots + 1)) - claims.labels("slot", link.id)),
                    state=self._oper("odu_links", link.id),
                )
                for link in equipment.odu_links.values()
            ],
            circuits=[self.circuit(c) for c in engine.circuits.values()],
            srlg_names=[pb.SrlgName(value=v, name=n) for v, n in sorted(names.items())],
        )

    def _oper(self, kind: str, name: str) -> pb.OperState:
        return pb.OPER_STATE_UP if self.up[kind].get(name, False) else pb.OPER_STATE_DOWN

    def dark(self, spec: pb.CircuitSpec) -> list[str]:
        """Return the hops of the working leg that are down now."""
        kind = "fibres" if spec.layer == pb.LAYER_WAVELENGTH else "odu_links"
        return [hop for hop in spec.working.route if self.up[kind].get(hop) is False]


def _document(spec: pb.CircuitSpec) -> dict[str, Any]:
    return MessageToDict(spec, preserving_proto_field_name=True)
