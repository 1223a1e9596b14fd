"""Who reaches whom on real packets is what the intents say, exactly."""

from __future__ import annotations

from tests.lab.packets import PacketStage
from tests.lab.wanted import intent
from tests.support.stage import eventually


def test_every_host_reaches_its_own_plane_and_nobody_else(city: PacketStage) -> None:
    city.apply(*map(intent, ("office", "natural-resources", "minimal", "compute")))
    vpns = sorted({a["vpn"] for a in city.customers.accesses("")})
    everybody = [c for vpn in vpns for c in city.plug_in(vpn)]
    assert len(everybody) == 18
    wanted = {(a.host, z.address): a.vpn == z.vpn for a in everybody for z in everybody}

    def wrong() -> list[tuple[str, str]]:
        found = city.customers.reachability(everybody, [c.address for c in everybody])
        return [pair for pair, answered in found.items() if answered is not wanted[pair]]

    eventually(lambda: not wrong(), within_s=60.0)
    assert wrong() == []  # and it stays so
