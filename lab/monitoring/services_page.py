"""The dashboard of what services were promised and what they get."""

from __future__ import annotations

from lab.monitoring.shapes import OF_SERVICE, RANGE, Page, Panel, Query, q, stat


def _each(expression: str) -> str:
    """Return one value for each service, with no other label: columns of one table must agree on their rows."""
    return f"max by (service) ({expression})"


def _spent(states: str) -> str:
    """Return the seconds that each service spent in these states."""
    counted = f'onecity_service_slo_seconds_total{{state=~"{states}",{OF_SERVICE}}}'
    return f"sum by (service) (increase({counted}[{RANGE}]))"


def _of_limit(measured: str, limit: str) -> str:
    return f"topk(20, {measured}{{{OF_SERVICE}}} / {limit})"


SERVICES = Page(
    "onecity-services",
    "onecity · service SLO",
    "What was promised, what is measured, and how fast the error budget is spent.",
    (
        (
            "Services",
            (
                Panel(
                    "Promised and measured",
                    (
                        Query(
                            _each(f"onecity_service_slo_availability_ratio{{{OF_SERVICE}}}"), "promised", "percentunit"
                        ),
                        Query(f"1 - {_spent('bad')} / ({_spent('good|bad')} > 0)", "as promised", "percentunit"),
                        Query(_spent("bad"), "outside", "s", red_above=1.0),
                        Query(_spent("unknown"), "unseen", "s"),
                        Query(
                            _each(f"service:onecity_slo_burn:rate1h{{{OF_SERVICE}}}"),
                            "burn, 1 h",
                            "none",
                            red_above=14.4,
                        ),
                        Query(_each(f"onecity_service_delay_seconds{{{OF_SERVICE}}}"), "delay", "s"),
                        Query(_each(f"onecity_service_slo_delay_seconds{{{OF_SERVICE}}}"), "of", "s"),
                        Query(_each(f"onecity_service_loss_ratio{{{OF_SERVICE}}}"), "loss", "percentunit"),
                        Query(_each(f"onecity_service_throughput_bps{{{OF_SERVICE}}}"), "carries", "bps"),
                    ),
                    kind="table",
                    words="Over the time shown. Unseen is time in which nobody could see a service: it counts for "
                    "neither side.",
                    span=24,
                    leads_to="onecity-services",
                ),
            ),
        ),
        (
            "Error budget",
            (
                Panel(
                    "Burn rate over five minutes, the twenty fastest",
                    (q(f"topk(20, service:onecity_slo_burn:rate5m{{{OF_SERVICE}}})", "{{service}}"),),
                    "none",
                    words="1 spends exactly the budget; 14.4 spends a month's in two days.",
                    red_above=14.4,
                ),
                Panel(
                    "Burn rate over an hour, the twenty fastest",
                    (q(f"topk(20, service:onecity_slo_burn:rate1h{{{OF_SERVICE}}})", "{{service}}"),),
                    "none",
                    words="Somebody is woken where this and that over five minutes are above 14.4.",
                    red_above=14.4,
                ),
                Panel(
                    "Within SLO now",
                    (q(f"onecity_service_within_slo{{{OF_SERVICE}}}", "within SLO"),),
                    "bool_yes_no",
                    "table",
                    "A service that nobody can see is missing.",
                    leads_to="onecity-services",
                ),
                Panel(
                    "What hurts it, or hurt it last",
                    (
                        q(
                            f"max by (service, cause) (onecity_service_cause_info{{{OF_SERVICE}}})"
                            " * on (service) group_left (kind)"
                            " (1 - max by (service, kind) (onecity_service_within_slo)) == 1",
                            "outside its SLO",
                        ),
                    ),
                    "bool_yes_no",
                    "table",
                    "The root of the incident; the service itself where no incident explains it.",
                    when_none="Every service is as promised.",
                    leads_to="onecity-services",
                ),
            ),
        ),
        (
            "Measured beside promised",
            (
                Panel(
                    "Delay of its limit, the twenty nearest to it",
                    (
                        q(
                            _of_limit("onecity_service_delay_seconds", "onecity_service_slo_delay_seconds"),
                            "{{service}}",
                        ),
                    ),
                    "percentunit",
                    red_above=1.0,
                ),
                Panel(
                    "One-way delay, the twenty slowest",
                    (q(f"topk(20, onecity_service_delay_seconds{{{OF_SERVICE}}})", "{{service}}"),),
                    "s",
                ),
                Panel(
                    "Loss of its limit, the twenty nearest to it",
                    (
                        q(
                            _of_limit("onecity_service_loss_ratio", "onecity_service_slo_loss_ratio"),
                            "{{service}}",
                        ),
                    ),
                    "percentunit",
                    red_above=1.0,
                ),
                Panel(
                    "Jitter, the twenty worst",
                    (q(f"topk(20, onecity_service_jitter_seconds{{{OF_SERVICE}}})", "{{service}}"),),
                    "s",
                ),
                Panel(
                    "Throughput, the twenty busiest",
                    (q(f"topk(20, onecity_service_throughput_bps{{{OF_SERVICE}}})", "{{service}}"),),
                    "bps",
                ),
                Panel(
                    "Carriers without a fresh measurement",
                    (q(f"topk(20, onecity_service_silent_subjects{{{OF_SERVICE}}})", "{{service}}"),),
                    words="A service some of whose carriers nobody measures is unknown, neither good nor bad.",
                ),
            ),
        ),
        (
            "Parties of assured conferences",
            (
                Panel(
                    "Parties by how they are",
                    (q(f"onecity_vip_parties{{{OF_SERVICE}}}", "{{service}} {{health}}"),),
                    when_none="No window is open.",
                ),
                stat(
                    "Parties outside their limits",
                    'sum(onecity_vip_parties{health=~"violated|down"}) or vector(0)',
                    above=1,
                ),
                stat("Parties without series of their own", "onecity_vip_parties_without_series"),
                stat("Services without series of their own", "onecity_services_without_series"),
                Panel(
                    "Delay, the twenty slowest",
                    (q(f"topk(20, onecity_vip_party_delay_seconds{{{OF_SERVICE}}})", "{{service}} {{party}}"),),
                    "s",
                    when_none="No window is open.",
                ),
                Panel(
                    "Loss, the twenty worst",
                    (q(f"topk(20, onecity_vip_party_loss_ratio{{{OF_SERVICE}}})", "{{service}} {{party}}"),),
                    "percentunit",
                    when_none="No window is open.",
                ),
                Panel(
                    "Jitter, the twenty worst",
                    (q(f"topk(20, onecity_vip_party_jitter_seconds{{{OF_SERVICE}}})", "{{service}} {{party}}"),),
                    "s",
                    when_none="No window is open.",
                ),
            ),
        ),
    ),
    choices=("tenant", "service"),
    shows="24h",
    refresh="1m",
)
