"""The dashboard of the closed loop, and of the controller that closes it."""

from __future__ import annotations

from lab.monitoring.shapes import RANGE, RATE, Page, Panel, p99, q, stat

QUIET = "nothing failed"


def _stage(title: str, stage: str, red_above: float, words: str) -> Panel:
    buckets = f'onecity_repair_stage_duration_seconds_bucket{{stage="{stage}"}}'
    expression = f"histogram_quantile(0.99, sum by (le) (rate({buckets}[1h])))"
    return stat(title, f"{expression} >= 0", "s", above=red_above, words=words, when_none=QUIET)  # NaN is no number


LOOP = Page(
    "onecity-loop",
    "onecity · closed loop",
    "From a failure to its repair, and whether the controller itself keeps up.",
    (
        (
            "Time of the last hour's repairs, 99th percentile",
            (
                _stage("Detect", "detect", 1.0, "From the domain's time stamp to here."),
                _stage("Decide", "decide", 0.5, "Until the first wave was chosen."),
                _stage("Commit", "commit", 5.0, "One wave, until the last domain's confirm."),
                _stage("First VIP", "first_vip", 1.0, "From detection until the first VIP was back."),
                _stage("Restore", "restore", 10.0, "From detection until the last service was back."),
                stat("Cannot be repaired now", "onecity_repairs_waiting", above=1),
            ),
        ),
        (
            "Repair",
            (
                Panel(
                    "Time to detect, decide, commit, restore",
                    (
                        q(
                            "histogram_quantile(0.99, sum by (stage, le) "
                            "(rate(onecity_repair_stage_duration_seconds_bucket[1h]))) >= 0",
                            "{{stage}}",
                        ),
                    ),
                    "s",
                    words="99th percentile of an hour; first_vip and restore are from detection.",
                    when_none="Nothing failed in this time.",
                ),
                Panel(
                    "Mean time to restore",
                    (
                        q(
                            'increase(onecity_repair_stage_duration_seconds_sum{stage="restore"}[1h])'
                            ' / (increase(onecity_repair_stage_duration_seconds_count{stage="restore"}[1h]) > 0)',
                            "restore",
                        ),
                    ),
                    "s",
                    when_none="Nothing failed in this time.",
                ),
                Panel(
                    "Failures, and services that they concerned",
                    (
                        q("increase(onecity_faults_total[5m])", "failures"),
                        q("increase(onecity_fault_services_total[5m])", "services {{result}}"),
                    ),
                    words="In five minutes.",
                ),
                Panel("Components down", (q("onecity_components_down", "{{kind}}"),), red_above=1.0),
                stat("Failures, in the time shown", f"increase(onecity_faults_total[{RANGE}])", "none"),
                stat(
                    "Services repaired, in the time shown",
                    f'increase(onecity_fault_services_total{{result="repaired"}}[{RANGE}])',
                    "none",
                ),
                stat("Components down", "sum(onecity_components_down)", above=1),
                stat("Held down for flapping", "onecity_components_flapping", above=1),
                stat("Proposals that wait", "onecity_proposals", words="onecity proposals shows them."),
                stat("Open incidents", "sum(onecity_incidents_open)", above=1),
            ),
        ),
        (
            "Changes",
            (
                Panel(
                    "Duration, 99th percentile",
                    (q(p99("onecity_change_duration_seconds", "kind"), "{{kind}}"),),
                    "s",
                    when_none="Nothing was changed in this time.",
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
                    words="Mean of committed changes.",
                    when_none="Nothing was changed in this time.",
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
                    (q("onecity:event_loop_lag_seconds:p99_5m", "lag"),),
                    "s",
                    red_above=0.25,
                ),
                Panel(
                    "Durable writes, 99th percentile",
                    (q("onecity:store_write_duration_seconds:p99_5m >= 0", "write"),),
                    "s",
                    red_above=0.5,
                    when_none="Nothing was written in this time.",
                ),
                Panel(
                    "Store",
                    (q("onecity_store_bytes", "store"), q("onecity_store_free_bytes", "free beside it")),
                    "bytes",
                ),
                Panel("Processor, cores", (q(f"rate(process_cpu_seconds_total[{RATE}])", "cores"),), "none"),
                Panel("Memory", (q("process_resident_memory_bytes", "resident"),), "bytes"),
                Panel("Measured series in memory", (q("onecity_telemetry_series", "series"),)),
            ),
        ),
    ),
    shows="6h",
    refresh="30s",
)
