from __future__ import annotations

from typing import Any

import pytest

from controller.errors import ConfigurationError
from controller.network.inventory import read_inventory


def test_an_inventory_is_read_with_rates_and_regions() -> None:
    facts = read_inventory(
        {
            "sites": {
                "buji": {
                    "title": "Buji",
                    "region": "west",
                    "latitude": 22.6,
                    "longitude": 114.1,
                    "access": "node:b/tp:1",
                }
            },
            "nodes": {"node:b": {"site": "buji", "regions": ["west"], "trust": 3, "availability": 0.9999}},
            "ports": {"node:b/tp:1": {"role": "access", "rate": "100Gbps", "site": "buji"}},
            "links": {"link:x..y": {"plane": "A", "rank": 2}},
        }
    )
    assert facts.sites["buji"].access == "node:b/tp:1"
    assert facts.nodes["node:b"].regions == {"west"}
    assert facts.ports["node:b/tp:1"].rate_bps == 100 * 10**9
    assert facts.links["link:x..y"].rank == 2


def test_no_inventory_at_all_is_an_empty_one() -> None:
    assert read_inventory(None).sites == {}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"nodes": {"node:b": {"trust": 5}}}, "inventory.nodes.node:b.trust"),
        ({"nodes": {"node:b": {"trust": 2.5}}}, "inventory.nodes.node:b.trust"),
        ({"ports": {"node:b/tp:1": {"rate": "100Gbs"}}}, "inventory.ports.node:b/tp:1.rate"),
        ({"ports": {"node:b/tp:1": {"role": "acess"}}}, "inventory.ports.node:b/tp:1.role"),
        ({"sites": {"b": {"colour": "red"}}}, "inventory.sites.b.colour"),
        ({"sites": []}, "inventory.sites"),
        ({"sites": {"b": "west"}}, "inventory.sites.b"),
        ({"site": {}}, "inventory.site"),
        ([1], "inventory"),
    ],
)
def test_a_mistake_names_its_key(document: Any, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_inventory(document)
    assert str(caught.value).startswith(f"{named}:")
