"""What the dashboards show: the city at a glance and the domain controllers; other pages have files of their own."""

from __future__ import annotations

from lab.monitoring.loop_page import LOOP
from lab.monitoring.optical_page import OPTICAL
from lab.monitoring.services_page import SERVICES
from lab.monitoring.shapes import OF_DOMAIN, RANGE, RATE, Page, Panel, p99, q, stat

OVERVIEW = Page(
    "onecity-overview",
    "onecity · city overview",
    "Is everything as asked, and if not, where to look.",
    (
        (
            "Now",
            (
                stat("Domains out of reach", "count(onecity_domain_up == 0) or vector(0)", above=1),
                stat("Services down", 'sum(onecity_services_by_health{health="down"})', above=1),
                stat("Outside their SLO", 'sum(onecity_services_by_health{health="violated"})', above=1),
                stat(
                    "Nobody can see",
                    'sum(onecity_services_by_health{health="unknown"})',
                    above=1,
                    words="Not measured: neither good nor bad. After a change this takes some seconds.",
                ),
                stat("Fibres dark", "count(onecity_fibre_up == 0) or vector(0)", above=1),
                stat("Open incidents", "sum(onecity_incidents_open)", above=1),
                stat("Services", 'sum(onecity_services{phase="Active"})', words="In the network now."),
                stat("VIP windows open", 'sum(onecity_services{kind="VipAssurance",phase="Active"})'),
                stat(
                    "At risk",
                    'sum(onecity_services_by_health{health="at-risk"})',
                    words="As promised, but close to it.",
                ),
                stat("Wait for a repair", "onecity_repairs_waiting", above=1),
                stat("Changes in doubt", "onecity_changes_in_doubt", above=1),
                stat("Least optical margin", "min(onecity_circuit_margin_decibels)", "dB", below=2.0),
            ),
        ),
        (
            "What is wrong",
            (
                Panel(
                    "Open incidents",
                    (q("time() - onecity_incident_opened_timestamp_seconds", "open for"),),
                    "dtdurations",
                    "table",
                    "One for each cause: onecity incidents tells whom it concerns and what was repaired.",
                    when_none="No incident is open.",
                ),
                Panel(
                    "Alerts that fire",
                    (
                        q(
                            'max by (alertname, severity, cause) (ALERTS{alertname=~"Onecity.*",alertstate="firing"})',
                            "fires",
                        ),
                    ),
                    "bool_yes_no",
                    "table",
                    "What has one cause is one ticket.",
                    when_none="No alert fires.",
                ),
                Panel(
                    "Services that are not as promised",
                    (q("max by (service, kind) (onecity_service_within_slo) == 0", "as promised"),),
                    "bool_yes_no",
                    "table",
                    when_none="Every service that can be seen is as promised.",
                    leads_to="onecity-services",
                ),
                Panel(
                    "Burn rate over an hour, the ten fastest",
                    (q("topk(10, service:onecity_slo_burn:rate1h)", "{{service}}"),),
                    "none",
                    words="1 spends exactly the error budget; 14.4 spends a month's in two days.",
                    red_above=14.4,
                ),
            ),
        ),
        (
            "Services",
            (
                Panel("Services by kind", (q("sum by (kind) (onecity_services)", "{{kind}}"),)),
                Panel("Services by health", (q("sum by (health) (onecity_services_by_health)", "{{health}}"),)),
                Panel(
                    "Time as promised, all services of a kind",
                    (
                        q(
                            f'sum by (kind) (rate(onecity_slo_seconds_total{{state="good"}}[{RATE}]))'
                            f' / (sum by (kind) (rate(onecity_slo_seconds_total{{state=~"good|bad"}}[{RATE}])) > 0)',
                            "{{kind}}",
                        ),
                    ),
                    "percentunit",
                    words="Of the time in which somebody could see it.",
                ),
                Panel(
                    "Changes by outcome",
                    (q(f"sum by (outcome) (rate(onecity_changes_total[{RATE}]))", "{{outcome}}"),),
                    "ops",
                ),
                Panel("Incidents over time", (q("onecity_incidents_open", "{{severity}}"),), red_above=1.0),
                Panel("Services by phase", (q("sum by (phase) (onecity_services)", "{{phase}}"),)),
            ),
        ),
        (
            "Links",
            (
                Panel(
                    "Most reserved links",
                    (q("topk(10, onecity_link_reserved_bps / onecity_link_capacity_bps)", "{{link}}"),),
                    "percentunit",
                    red_above=0.9,
                ),
                Panel("Busiest links", (q("topk(10, onecity_link_throughput_bps)", "{{link}}"),), "bps"),
            ),
        ),
    ),
    refresh="10s",
)

DOMAINS = Page(
    "onecity-domains",
    "onecity · domain controllers",
    "Whether they answer, how fast, what they run that nobody asked for, and how well they measure.",
    (
        (
            "Sessions",
            (
                Panel("Up", (q(f"onecity_domain_up{{{OF_DOMAIN}}}", "up"),), "bool_yes_no", "table"),
                Panel(
                    "Closed by an unfinished change",
                    (q(f"onecity_domain_unsettled{{{OF_DOMAIN}}}", "{{domain}}"),),
                    red_above=1.0,
                ),
                Panel(
                    "Answer time, 99th percentile",
                    (q(p99("onecity_domain_rpc_duration_seconds", "domain, verb", OF_DOMAIN), "{{domain}} {{verb}}"),),
                    "s",
                ),
                Panel(
                    "Calls by outcome",
                    (
                        q(
                            f"sum by (domain, outcome) (rate(onecity_domain_rpcs_total{{{OF_DOMAIN}}}[{RATE}]))",
                            "{{domain}} {{outcome}}",
                        ),
                    ),
                    "ops",
                ),
                Panel(
                    "Notification gaps, in the time shown",
                    (q(f"increase(onecity_domain_notification_gaps_total{{{OF_DOMAIN}}}[{RANGE}])", "{{domain}}"),),
                ),
            ),
        ),
        (
            "Drift",
            (
                Panel(
                    "Places that differ",
                    (q(f'onecity_domain_drift_places{{whose!="accepted",{OF_DOMAIN}}}', "{{domain}} {{whose}}"),),
                ),
                Panel(
                    "Since the last comparison",
                    (q(f"time() - onecity_domain_compared_timestamp_seconds{{{OF_DOMAIN}}}", "{{domain}}"),),
                    "s",
                ),
            ),
        ),
        (
            "Telemetry",
            (
                Panel(
                    "Samples",
                    (q(f"rate(onecity_telemetry_samples_total{{{OF_DOMAIN}}}[{RATE}])", "{{domain}}"),),
                    "ops",
                ),
                Panel(
                    "Lag, 99th percentile",
                    (q(p99("onecity_telemetry_lag_seconds", "domain", OF_DOMAIN), "{{domain}}"),),
                    "s",
                ),
                Panel(
                    "Silence",
                    (q(f"onecity_telemetry_silence_seconds{{{OF_DOMAIN}}}", "{{domain}}"),),
                    "s",
                    red_above=20.0,
                ),
                Panel(
                    "Gaps, reconnects, dropped batches, in the time shown",
                    (
                        q(f"increase(onecity_telemetry_gaps_total{{{OF_DOMAIN}}}[{RANGE}])", "{{domain}} gaps"),
                        q(
                            f"increase(onecity_telemetry_reconnects_total{{{OF_DOMAIN}}}[{RANGE}])",
                            "{{domain}} reconnects",
                        ),
                        q(
                            f"increase(onecity_telemetry_dropped_batches_total{{{OF_DOMAIN}}}[{RANGE}])",
                            "{{domain}} dropped",
                        ),
                    ),
                ),
            ),
        ),
    ),
    choices=("domain",),
    shows="6h",
    refresh="30s",
)

PAGES = (OVERVIEW, SERVICES, DOMAINS, OPTICAL, LOOP)
