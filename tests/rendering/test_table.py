"""The committed table of YANG nodes is what the generator makes of the published modules."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from controller.rendering.schema import Schema
from tests.rendering.yang import OWN, PUBLISHED

pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published modules in ../shared/yang")


def test_the_committed_table_is_up_to_date(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", OWN / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    generator.main(PUBLISHED, tmp_path / "subset.json")
    fresh, committed = (json.loads((folder / "subset.json").read_text()) for folder in (tmp_path, OWN))
    assert fresh == committed, "run `python protos/yang/generate.py ../shared/yang` and commit the result"


def test_the_table_knows_what_the_mapping_uses() -> None:
    schema = Schema.load()
    rule = schema.node(
        (
            "l3nm:l3vpn-ntw",
            "l3nm:vpn-services",
            ("l3nm:vpn-service", "v"),
            "l3nm:vpn-nodes",
            ("l3nm:vpn-node", "n"),
            "l3nm:vpn-network-accesses",
            ("l3nm:vpn-network-access", "a"),
            "l3nm:service",
            "l3nm:qos",
            "l3nm:qos-classification-policy",
            ("l3nm:rule", "r"),
        )
    )
    assert (rule.kind, rule.keys, rule.user_ordered) == ("list", ("l3nm:id",), True)
    tunnel = schema.node(("te:te", "te:tunnels", "te:tunnel"))
    assert tunnel.children["te:description"].default == "None"
    assert tunnel.children["oc:nrp-id"].type["path"] == "/nw:networks/nrp:nrp-policies/nrp:nrp-policy/nrp:nrp-id"
    assert schema.derived("ietf-vpn-common:dot1q", "ietf-vpn-common:encapsulation-type")
    with pytest.raises(KeyError, match="/te:te/te:nothing"):
        schema.node(("te:te", "te:nothing"))
