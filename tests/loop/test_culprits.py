"""What alerts are gathered by: the root of the incident that explains a thing, for a service also when it is over."""

from __future__ import annotations

from controller.assurance.incidents import Incident
from controller.loop.culprits import LINGERS_S, REMEMBERED_S, Culprits, listed

NOW = 1e9


def incident(root: str, kind: str, members: set[str], services: set[str], closed: float | None = None) -> Incident:
    dead = {s for s in services if s.endswith("dead")}
    return Incident(root, root, kind, root, NOW, 0.0, frozenset(members), set(services), dead, closed=closed)


def test_the_deepest_cause_explains_and_for_a_service_the_one_that_took_it_down() -> None:
    fibre = incident("fibre:f", "fibre", {"fibre:f", "link:k"}, {"gov/a", "gov/dead"})
    worn = incident("fibre:w", "degraded", {"fibre:w", "link:k"}, {"gov/a", "gov/b"})
    node = incident("node:n", "node", {"node:n"}, {"gov/dead-not", "gov/a"})
    found = Culprits().blame((worn, fibre, node), NOW)
    assert found.components == {"fibre:f": "fibre:f", "link:k": "fibre:f", "fibre:w": "fibre:w", "node:n": "node:n"}
    assert found.of_service("gov/a", "ok") == "node:n"
    assert found.of_service("gov/dead", "down") == "fibre:f"
    assert found.of_service("gov/b", "violated") == "fibre:w"
    assert found.of_service("gov/other", "down") == "service:gov/other"


def test_a_service_keeps_the_name_of_what_hurt_it_for_as_long_as_alerts_look_back() -> None:
    culprits = Culprits()
    culprits.hear(incident("fibre:f", "fibre", {"fibre:f"}, {"gov/a"}))
    assert culprits.blame((), NOW).hurt_last == {}  # it is not over
    culprits.hear(incident("fibre:f", "fibre", {"fibre:f"}, {"gov/a"}, closed=NOW))
    found = culprits.blame((), NOW + REMEMBERED_S)
    assert found.of_service("gov/a", "ok") == "fibre:f"
    assert found.of_service("gov/a", "down") == "service:gov/a"  # that is something else, and nothing explains it
    assert found.components == {}
    moment = culprits.blame((), NOW + LINGERS_S - 1)
    assert moment.of_service("gov/a", "down") == "fibre:f"  # it is not measured again yet: no second ticket
    assert culprits.blame((), NOW + LINGERS_S).of_service("gov/a", "violated") == "service:gov/a"
    assert culprits.blame((), NOW + REMEMBERED_S + 1).of_service("gov/a", "ok") == "service:gov/a"


def test_a_service_that_is_well_is_told_with_what_took_it_down_not_with_what_concerns_it_now() -> None:
    """Burning its budget it stays in the ticket of the outage, while a fibre fades that it rides."""
    culprits = Culprits()
    culprits.hear(incident("node:n", "node", {"node:n"}, {"gov/dead"}, closed=NOW - 900))
    fading = incident("fibre:w", "degraded", {"fibre:w"}, {"gov/dead", "gov/new"})
    fading.dead.clear()
    found = culprits.blame((fading,), NOW)
    assert found.of_service("gov/dead", "ok") == "node:n"
    assert found.of_service("gov/dead", "violated") == "fibre:w"
    assert found.of_service("gov/new", "at-risk") == "fibre:w"


def test_a_controller_out_of_reach_is_no_cause_of_how_its_services_are() -> None:
    """It concerns all that have something in its domain, and stops none of them."""
    lost = incident("controller:d", "controller", {"controller:d"}, {"gov/a", "gov/b"})
    worn = incident("fibre:w", "degraded", {"fibre:w"}, {"gov/a"})
    culprits = Culprits()
    found = culprits.blame((worn, lost), NOW)
    assert found.of_service("gov/a", "violated") == "fibre:w"
    assert found.of_service("gov/b", "down") == "service:gov/b"
    assert found.components["controller:d"] == "controller:d"
    culprits.hear(incident("fibre:w", "degraded", {"fibre:w"}, {"gov/a"}, closed=NOW - 9))
    culprits.hear(incident("controller:d", "controller", {"controller:d"}, {"gov/a", "gov/b"}, closed=NOW))
    assert culprits.blame((), NOW).hurt_last == {"gov/a": "fibre:w"}


def test_a_circuit_over_others_has_the_cause_of_its_service() -> None:
    cut = incident("fibre:f", "fibre", {"fibre:f", "circuit:lit"}, {"gov/a"})
    found = Culprits().blame((cut,), NOW)
    assert found.of_circuit("lit", "") == "fibre:f"
    assert found.of_circuit("gov.a/slots", "gov/a") == "fibre:f"
    assert found.of_circuit("gov.b/slots", "gov/b") == "circuit:gov.b/slots"
    assert found.of_circuit("other", "") == "circuit:other"
    assert (found.of("fibre", "f"), found.of("link", "k")) == ("fibre:f", "link:k")


def test_open_incidents_are_listed_once_for_each_root_the_worst_first() -> None:
    told = listed(
        (
            incident("a", "link", set(), set()),
            incident("b", "fibre", set(), {"x/dead"}),
            incident("a", "link", set(), set()),
        )
    )
    assert [(i.cause, i.severity) for i in told] == [("b", "critical"), ("a", "warning")]
