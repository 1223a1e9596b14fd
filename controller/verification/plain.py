"""Slices of the plainest kind, settled in one look: two accesses, two tunnels of its own, one partition, one domain.

That is what most slices are. What would be said of one by `SliceProver`, and by `NetworkProver` of its VPN, is asked
here straight away, of its few facts. Nothing is ever called broken here: whatever is not plainly sound, or not plain
at all, is left to those two, which also find the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.intent.model import (
    AccessSite,
    AttachLayer,
    Boundaries,
    Disjointness,
    ExclusiveSlice,
    Protection,
    Service,
    ServiceId,
)
from controller.network.model import Domain
from controller.verification.bulk import Took
from controller.verification.facts import Access, Partition, Tunnel, Vpn, covers
from controller.verification.forwarding import Forwarding
from controller.verification.limits import Sums, limited
from controller.verification.loads import Loads
from controller.verification.networks import address_fault, overlaps
from controller.verification.promises import EASE

Sound = Mapping[int, tuple[Took, Took]]  # tunnels of which nothing is wrong, by identity: working and standby
ANYWHERE = Boundaries()


def settled(
    services: Iterable[ServiceId], intents: Mapping[ServiceId, Service], forwarding: Forwarding, sound: Sound
) -> dict[ServiceId, Loads]:
    """Return those of these services of which nothing is wrong, with what they load links with.

    intents: all active services. sound: the tunnels of which nothing is wrong, their partitions included.
    """
    if not forwarding.interior.trusted:
        return {}
    found: dict[ServiceId, Loads] = {}
    for sid in services:
        service = intents[sid]
        if isinstance(service, ExclusiveSlice) and _plain(service):
            partition = _Look(service, forwarding, sound).partition()
            if partition is not None:
                found[sid] = partition.rates
    forwarding.steps += len(found)
    return found


def _plain(wanted: ExclusiveSlice) -> bool:
    """Say whether nothing is asked but a rate, bounds on the way, and a standby."""
    company = wanted.diverse_from or wanted.together_with
    ends = len(wanted.endpoints) == 2 and all(e.attach is AttachLayer.IP and not e.port for e in wanted.endpoints)
    return (
        ends
        and len(wanted.demands) == 1
        and not company
        and wanted.plane is None
        and Disjointness.NODE not in wanted.disjoint
        and wanted.boundaries == ANYWHERE
    )


class _Look:
    """One look at one slice."""

    __slots__ = ("domain", "forwarding", "id", "model", "sound", "vpn_id", "wanted")

    def __init__(self, wanted: ExclusiveSlice, forwarding: Forwarding, sound: Sound) -> None:
        self.wanted, self.forwarding, self.sound = wanted, forwarding, sound
        self.id, self.model = wanted.metadata.service, forwarding.model
        self.vpn_id = self.id.replace("/", ".", 1)

    def partition(self) -> Partition | None:
        """Return the slice's partition, where all is well."""
        vpns, partitions = self.forwarding.vpn(self.vpn_id), self.model.partitions_of(self.id)
        if len(vpns) != 1 or len(partitions) != 1 or self.model.circuits_of(self.id):
            return None
        vpn, partition = vpns[0], partitions[0]
        self.domain: Domain = self.forwarding.city.domains[vpn.domain]
        if vpn.id != self.vpn_id or not len(vpn.instances) == len(vpn.accesses) == len(vpn.steering) == 2:
            return None
        a, z = (vpn.accesses.get(f"{self.vpn_id}.{site.name}") for site in self.wanted.endpoints)
        if a is None or z is None or a.node == z.node:
            return None
        if not all(self._access(site, access, vpn) for site, access in zip(self.wanted.endpoints, (a, z), strict=True)):
            return None
        if any(overlaps(self.id, [a, z], frozenset())) or not self._instances(vpn, a, z):
            return None
        owners = self.model.owners("nrp-id", vpn.domain, str(partition.nrp_id))
        if owners != (partition.name,) or partition.domain != vpn.domain:
            return None
        return partition if self._way(vpn, a, z, partition) and self._way(vpn, z, a, partition) else None

    def _access(self, site: AccessSite, access: Access, vpn: Vpn) -> bool:
        """Say whether an access is where its site hangs, as it was asked, and nobody else's."""
        place, port = self.forwarding.city.sites.get(site.site), self.forwarding.city.ports.get(access.where)
        if place is None or place.access != access.where or port is None:
            return False
        if port.domain != vpn.domain or port.role != "access" or access.rank:
            return False
        if site.vlan not in (None, access.vlan) or access.rate_bps < site.rate_bps:
            return False
        owners = self.model.owners("vlan", str(access.where), str(access.vlan))
        if owners != (f"{vpn.id}|{access.id}",) or (access.node, access.profile) not in vpn.instances:
            return False
        for used, owned in (
            (access.qos_profiles, self.domain.qos_profiles),
            (access.routing_profiles, self.domain.routing_profiles),
        ):
            if owned and not owned.issuperset(used):
                return False
        if site.lans and {lan for lan, _ in access.lans} != {str(lan) for lan in site.lans}:
            return False
        return not address_fault(access)

    def _instances(self, vpn: Vpn, a: Access, z: Access) -> bool:
        """Say whether either end hears the other's routes, and nobody else hears or says any of them."""
        mine = f"{vpn.id}|"
        for near, far in ((a, z), (z, a)):
            here, there = vpn.instances[near.node, near.profile], vpn.instances[far.node, far.profile]
            if not here.rd or len(self.model.owners("rd", vpn.domain, here.rd)) != 1:
                return False
            if here.exports.isdisjoint(there.imports):
                return False
            for kind, targets in (("import", here.exports), ("export", here.imports)):
                for target in targets:
                    if not all(o.startswith(mine) for o in self.model.owners(kind, vpn.domain, target)):
                        return False
        return True

    def _way(self, vpn: Vpn, src: Access, dst: Access, partition: Partition) -> bool:
        """Say whether one direction rides a sound tunnel of its own, with its rate and in time on either path."""
        entry = vpn.steering.get((src.node, dst.node, "*"))
        if entry is None or not entry.drop or len(entry.tunnels) != 1 or src.node not in self.forwarding.city.nodes:
            return False
        tunnel = self.model.tunnels.get((vpn.domain, entry.tunnels[0]))
        if tunnel is None or tunnel.name != entry.tunnels[0]:
            return False
        if (tunnel.src, tunnel.dst) != (src.node, dst.node) or tunnel.partition != partition.nrp_id:
            return False
        owned = self.model.claims.get(("tunnels", self.id), {})
        if len(owned) != 2 or owned.get(tunnel.name) != (vpn.domain,):
            return False
        return covers(tunnel.rate_bps, self.wanted.demands[0].rate_bps) and self._guarded(tunnel)

    def _guarded(self, tunnel: Tunnel) -> bool:
        """Say whether a tunnel is sound, in time, and has a standby that what ends the working path does not end."""
        took = self.sound.get(id(tunnel))
        if took is None or not self._kept(took[0]):
            return False
        if self.wanted.protection is not Protection.STANDBY:
            return True
        return tunnel.standby is not None and id(tunnel) in self.forwarding.apart and self._kept(took[1])

    def _kept(self, took: Took) -> bool:
        """Say whether a path keeps what is promised of latency, jitter, loss and hops."""
        delay_s, jitter_s, losses, hops = took
        slo = self.wanted.slo
        if slo.latency_s is not None and delay_s > slo.latency_s + EASE:
            return False
        return not limited(slo) or not Sums(jitter_s, losses, round(hops)).beyond(slo)
