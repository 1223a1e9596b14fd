"""What the dashboards show, page by page. Every query has an answer on a healthy city."""

from __future__ import annotations

from lab.monitoring.optical_page import OPTICAL
from lab.monitoring.shapes import RATE, Page, Panel, p99, q, stat

OVERVIEW = Page(
    "onecity-overview",
    "onecity · city overview",
    "Is everything as asked, and if not, where to look.",
    (
        (
            "Now",
            (
                stat("Domains out of reach", "count(onecity_domain_up == 0) or vector(0)", above=1),
                stat("Services down", 'sum(onecity_services_by_health{health="down"}) or vector(0)', above=1),
                stat("Outside their SLO", 'sum(onecity_services_by_health{health="violated"}) or vector(0)', above=1),
                stat("Nobody can see", 'sum(onecity_services_by_health{health="unknown"}) or vector(0)', above=1),
                stat("Fibres dark", "count(onecity_fibre_up == 0) or vector(0)", above=1),
                stat("Changes in doubt", "onecity_changes_in_doubt", above=1),
            ),
        ),
        (
            "Services",
            (
                Panel("Services by kind and phase", (q("onecity_services", "{{kind}} {{phase}}"),)),
                Panel("Open incidents", (q("onecity_incidents_open", "{{severity}}"),), red_above=1.0),
                Panel("Services by health", (q("sum by (health) (onecity_services_by_health)", "{{health}}"),)),
                Panel(
                    "Time as promised, all services of a kind",
                    (
                        q(
                            f'sum by (kind) (rate(onecity_slo_seconds_total{{state="good"}}[{RATE}]))'
                            f' / sum by (kind) (rate(onecity_slo_seconds_total{{state=~"good|bad"}}[{RATE}]))',
                            "{{kind}}",
                        ),
                    ),
                    "percentunit",
                    words="Of the time in which somebody could see it.",
                ),
                Panel(
                    "Changes by outcome",
                    (q(f"sum by (kind, outcome) (rate(onecity_changes_total[{RATE}]))", "{{kind}} {{outcome}}"),),
                    "ops",
                ),
            ),
        ),
        (
            "Links",
            (
                Panel(
                    "Most reserved links",
                    (q("topk(10, onecity_link_reserved_bps / onecity_link_capacity_bps)", "{{link}}"),),
                    "percentunit",
                ),
                Panel("Busiest links", (q("topk(10, onecity_link_throughput_bps)", "{{link}}"),), "bps"),
            ),
        ),
    ),
)

SERVICES = Page(
    "onecity-services",
    "onecity · service SLO",
    "What was promised, what is measured, and how fast the error budget is spent.",
    (
        (
            "Error budget",
            (
                Panel(
                    "Burn rate over five minutes",
                    (q("topk(20, service:onecity_slo_burn:rate5m)", "{{service}}"),),
                    words="1 spends exactly the budget; 14.4 spends a month's in two days.",
                    red_above=14.4,
                ),
                Panel(
                    "Burn rate over an hour",
                    (q("topk(20, service:onecity_slo_burn:rate1h)", "{{service}}"),),
                    red_above=14.4,
                ),
                Panel(
                    "Within SLO now",
                    (q("onecity_service_within_slo", "{{service}}"),),
                    "bool_yes_no",
                    "table",
                    "A service that nobody can see is missing.",
                ),
                Panel(
                    "Seconds outside the SLO in the last day",
                    (q('topk(20, increase(onecity_service_slo_seconds_total{state="bad"}[1d]))', "{{service}}"),),
                    "s",
                    "table",
                ),
            ),
        ),
        (
            "Measured beside promised",
            (
                Panel(
                    "Delay of its limit",
                    (q("onecity_service_delay_seconds / onecity_service_slo_delay_seconds", "{{service}}"),),
                    "percentunit",
                    red_above=1.0,
                ),
                Panel("One-way delay", (q("onecity_service_delay_seconds", "{{service}}"),), "s"),
                Panel(
                    "Loss of its limit",
                    (q("onecity_service_loss_ratio / onecity_service_slo_loss_ratio", "{{service}}"),),
                    "percentunit",
                    red_above=1.0,
                ),
                Panel("Jitter", (q("onecity_service_jitter_seconds", "{{service}}"),), "s"),
                Panel("Throughput", (q("onecity_service_throughput_bps", "{{service}}"),), "bps"),
                Panel(
                    "Carriers without a fresh measurement",
                    (q("topk(20, onecity_service_silent_subjects)", "{{service}}"),),
                ),
            ),
        ),
        (
            "Parties of assured conferences",
            (
                Panel("Parties by how they are", (q("onecity_vip_parties", "{{service}} {{health}}"),)),
                stat(
                    "Parties outside their limits",
                    'sum(onecity_vip_parties{health=~"violated|down"}) or vector(0)',
                    above=1,
                ),
                stat("Parties without series of their own", "onecity_vip_parties_without_series"),
                Panel(
                    "Delay, the twenty slowest",
                    (q("topk(20, onecity_vip_party_delay_seconds)", "{{service}} {{party}}"),),
                    "s",
                ),
                Panel(
                    "Loss, the twenty worst",
                    (q("topk(20, onecity_vip_party_loss_ratio)", "{{service}} {{party}}"),),
                    "percentunit",
                ),
                Panel(
                    "Jitter, the twenty worst",
                    (q("topk(20, onecity_vip_party_jitter_seconds)", "{{service}} {{party}}"),),
                    "s",
                ),
            ),
        ),
        ("Bound", (stat("Services without series of their own", "onecity_services_without_series"),)),
    ),
)

DOMAINS = Page(
    "onecity-domains",
    "onecity · domain controllers",
    "Whether they answer, how fast, what they run that nobody asked for, and how well they measure.",
    (
        (
            "Sessions",
            (
                Panel("Up", (q("onecity_domain_up", "{{domain}}"),), "bool_yes_no", "table"),
                Panel("Closed by an unfinished change", (q("onecity_domain_unsettled", "{{domain}}"),), red_above=1.0),
                Panel(
                    "Answer time, 99th percentile",
                    (q(p99("onecity_domain_rpc_duration_seconds", "domain, verb"), "{{domain}} {{verb}}"),),
                    "s",
                ),
                Panel(
                    "Calls by outcome",
                    (
                        q(
                            f"sum by (domain, outcome) (rate(onecity_domain_rpcs_total[{RATE}]))",
                            "{{domain}} {{outcome}}",
                        ),
                    ),
                    "ops",
                ),
                Panel("Notification gaps", (q("onecity_domain_notification_gaps_total", "{{domain}}"),)),
            ),
        ),
        (
            "Drift",
            (
                Panel(
                    "Places that differ",
                    (q('onecity_domain_drift_places{whose!="accepted"}', "{{domain}} {{whose}}"),),
                ),
                Panel(
                    "Since the last comparison",
                    (q("time() - onecity_domain_compared_timestamp_seconds", "{{domain}}"),),
                    "s",
                ),
            ),
        ),
        (
            "Telemetry",
            (
                Panel("Samples", (q(f"rate(onecity_telemetry_samples_total[{RATE}])", "{{domain}}"),), "ops"),
                Panel("Lag, 99th percentile", (q(p99("onecity_telemetry_lag_seconds", "domain"), "{{domain}}"),), "s"),
                Panel("Silence", (q("onecity_telemetry_silence_seconds", "{{domain}}"),), "s", red_above=20.0),
                Panel(
                    "Gaps, reconnects, dropped batches",
                    (
                        q("onecity_telemetry_gaps_total", "{{domain}} gaps"),
                        q("onecity_telemetry_reconnects_total", "{{domain}} reconnects"),
                        q("onecity_telemetry_dropped_batches_total", "{{domain}} dropped"),
                    ),
                ),
            ),
        ),
    ),
)

LOOP = Page(
    "onecity-loop",
    "onecity · closed loop",
    "From a failure to its repair, and whether the controller itself keeps up.",
    (
        (
            "Repair",
            (
                stat("Failures", "onecity_faults_total"),
                stat("Services repaired", 'onecity_fault_services_total{result="repaired"}'),
                stat("Cannot be repaired now", "onecity_repairs_waiting", above=1),
                stat("Components down", "sum(onecity_components_down)", above=1),
                stat("Proposals that wait", "onecity_proposals"),
                Panel(
                    "Time to detect, decide, commit, restore: 99th percentile of an hour",
                    (
                        q(
                            "histogram_quantile(0.99, sum by (stage, le) "
                            "(rate(onecity_repair_stage_duration_seconds_bucket[1h])))",
                            "{{stage}}",
                        ),
                    ),
                    "s",
                    words="detect: the domain's time stamp to here; first_vip and restore: from detection.",
                ),
                Panel(
                    "Mean time to restore",
                    (
                        q(
                            'increase(onecity_repair_stage_duration_seconds_sum{stage="restore"}[1h])'
                            ' / increase(onecity_repair_stage_duration_seconds_count{stage="restore"}[1h])',
                            "restore",
                        ),
                    ),
                    "s",
                ),
            ),
        ),
        (
            "Changes",
            (
                Panel(
                    "Duration, 99th percentile",
                    (q(p99("onecity_change_duration_seconds", "kind"), "{{kind}}"),),
                    "s",
                ),
                Panel(
                    "Where the time goes",
                    (
                        q(
                            f"sum by (stage) (rate(onecity_change_stage_duration_seconds_sum[{RATE}]))"
                            f" / sum by (stage) (rate(onecity_change_stage_duration_seconds_count[{RATE}]))",
                            "{{stage}}",
                        ),
                    ),
                    "s",
                ),
                Panel(
                    "Under way and in doubt",
                    (q("onecity_changes_in_flight", "under way"), q("onecity_changes_in_doubt", "in doubt")),
                ),
            ),
        ),
        (
            "The controller",
            (
                Panel(
                    "Event loop lag, 99th percentile",
                    (q(f"histogram_quantile(0.99, sum by (le) (rate(onecity_event_loop_lag_seconds_bucket[{RATE}])))",
                       "lag"),),
                    "s",
                ),
                Panel(
                    "Durable writes, 99th percentile",
                    (q("histogram_quantile(0.99, sum by (le) (rate(onecity_store_write_duration_seconds_bucket[5m])))",
                       "write"),),
                    "s",
                ),
                Panel(
                    "Store",
                    (q("onecity_store_bytes", "store"), q("onecity_store_free_bytes", "free beside it")),
                    "bytes",
                ),
                Panel("Processor", (q(f"rate(process_cpu_seconds_total[{RATE}])", "cores"),)),
                Panel("Memory", (q("process_resident_memory_bytes", "resident"),), "bytes"),
                Panel("Measured series in memory", (q("onecity_telemetry_series", "series"),)),
            ),
        ),
    ),
)  # fmt: skip

PAGES = (OVERVIEW, SERVICES, DOMAINS, OPTICAL, LOOP)
