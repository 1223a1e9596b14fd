"""What a hand-written script needs: stock ncclient, the same operations on both IP domains, nothing else.

Lock, edit-config, validate, confirmed commit, read back, confirm, unlock, and the same again to take it away
(not timed). No planning, proof, journal, optical domain or telemetry. Sessions are kept open between samples.
"""

from __future__ import annotations

import time
from functools import cache

import yaml
from ncclient import manager
from ncclient.transport import session

from lab.supervision import RunningCity

STOCK_TICK_S = 0.1
NS = "urn:ietf:params:xml:ns:yang:ietf-l3vpn-ntw"
VPN = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><l3vpn-ntw xmlns="{ns}"
 xmlns:vpn-common="urn:ietf:params:xml:ns:yang:ietf-vpn-common" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">
 <vpn-services><vpn-service nc:operation="{operation}"><vpn-id>script</vpn-id>{content}</vpn-service></vpn-services>
</l3vpn-ntw></config>"""
CONTENT = """<vpn-type>vpn-common:l3vpn</vpn-type><vpn-instance-profiles><vpn-instance-profile>
<profile-id>slice</profile-id></vpn-instance-profile></vpn-instance-profiles><vpn-nodes><vpn-node>
<vpn-node-id>{node}</vpn-node-id><ne-id>{node}</ne-id><active-vpn-instance-profiles><vpn-instance-profile>
<profile-id>slice</profile-id><rd>1:10.9.9.9:9</rd></vpn-instance-profile></active-vpn-instance-profiles>
<vpn-network-accesses><vpn-network-access><id>script.a</id><interface-id>tp:acc-1</interface-id><connection>
<encapsulation><type>vpn-common:dot1q</type><dot1q><cvlan-id>4000</cvlan-id></dot1q></encapsulation></connection>
</vpn-network-access></vpn-network-accesses></vpn-node></vpn-nodes>"""
NODES = {"city-ip": "node:lg-buji", "district-ip": "node:lg-longgang"}


@cache
def _sessions(config: str) -> dict[str, manager.Manager]:
    with open(config) as file:
        domains = {d["name"]: d for d in yaml.safe_load(file)["domains"]}
    base = config.rsplit("/", 1)[0]
    found = {}
    for name in NODES:
        host, port = domains[name]["address"].split(":")
        with open(f"{base}/{domains[name]['passwordFile']}") as file:
            password = file.read().strip()
        found[name] = manager.connect(
            host=host,
            port=int(port),
            username=domains[name]["username"],
            password=password,
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
        )
    return found


def script_seconds(running: RunningCity) -> float:
    """Return how long the script took for one sample."""
    assert session.TICK == STOCK_TICK_S, "the baseline is stock ncclient"
    sessions = _sessions(str(running.config_path))
    started = time.perf_counter()
    for name, connection in sessions.items():
        _change(connection, "create", CONTENT.format(node=NODES[name]))
    seconds = time.perf_counter() - started
    for connection in sessions.values():
        _change(connection, "delete", "")
    return seconds


def _change(connection: manager.Manager, operation: str, content: str) -> None:
    connection.lock("candidate")
    connection.edit_config(VPN.format(ns=NS, operation=operation, content=content), target="candidate")
    connection.validate("candidate")
    connection.commit(confirmed=True, timeout="60", persist="script")
    service = "<vpn-services><vpn-service><vpn-id>script</vpn-id></vpn-service></vpn-services>"
    connection.get_config("running", filter=("subtree", f'<l3vpn-ntw xmlns="{NS}">{service}</l3vpn-ntw>'))
    connection.commit(persist_id="script")
    connection.unlock("candidate")
