"""What to do about what a report shows, in sentences for somebody who decides and need not know how. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from controller.intent.quantities import duration_text
from controller.reports.model import IncidentReport, LinkForecast, ServiceReport, Verdict

UNSEEN = 0.05  # a larger share of the time that nobody saw is worth a word,
UNSEEN_S = 600.0  # where it is more than a service's first moments
SOON_DAYS = 90.0
BELIEVED = 0.25  # a forecast with a larger error is no ground to build on
OFTEN = 2
REMEDIES = {
    True: "its standby did not help: look for what both ways share (onecity simulate)",
    False: "a standby would have carried it (protection: standby)",
    None: "the incidents name the cause, and onecity simulate what else hangs on it",
}


def service_advice(found: ServiceReport, protected: bool | None, downs: int) -> tuple[str, ...]:
    """Return sentences on one service; none where there is nothing to do.

    downs: how many of its outages left it without traffic; the others were outside a limit.
    protected: whether something stands by on every part of its way; None: it is rerouted, or it was withdrawn.
    """
    said = []
    counted_s = found.measured_s + found.unseen_s
    if found.verdict is Verdict.UNMEASURED:
        said.append("It was not measured: see that the domains it rides send telemetry.")
    elif found.unseen_s > max(UNSEEN_S, UNSEEN * counted_s):
        said.append(
            f"Nobody could see it for {found.unseen_s / counted_s:.0%} of the time: see that its domains measure "
            "without gaps, or the numbers here prove little."
        )
    promised = found.promised.availability
    if found.availability is not None and promised is not None and found.availability < promised:
        lost = f"It was down {_times(downs)}, {duration_text(found.down_s)} in all"
        said.append(f"{lost}, more than {100 * promised:.6g} % allows; {REMEDIES[protected]}.")
    for name, quantity, remedy in (
        ("slower", found.delay, "lead it over fewer hops, or ask for a lower latency so that the planner must"),
        ("less steady", found.jitter, "give it a class of its own, or a harder isolation"),
        ("lossier", found.loss, "see whether a link on its way is full or worn"),
    ):
        if quantity.over_ratio:
            said.append(f"It was {name} than promised for {_share(quantity.over_ratio)} of the time: {remedy}.")
    limit = found.repair_limit_s
    if limit is not None and found.longest_s > limit:
        said.append(
            f"Its longest outage took {duration_text(found.longest_s)}; the catalogue allows {duration_text(limit)}."
        )
    return tuple(said)


def overall(
    services: Sequence[ServiceReport],
    incidents: Sequence[IncidentReport],
    links: Sequence[LinkForecast],
    unrecorded_s: float,
) -> tuple[str, ...]:
    """Return sentences on everything together, most urgent first.

    unrecorded_s: how long nothing was recorded after the first record of the period.
    """
    said = []
    missed = [s for s in services if s.verdict is Verdict.MISSED]
    kept = sum(s.verdict is Verdict.KEPT for s in services)
    if missed:
        worst = min(missed, key=lambda s: s.attainment or 0.0)
        said.append(
            f"{len(missed)} of {len(missed) + kept} services did not have what was promised; "
            f"worst {worst.service}, as promised {_share(worst.attainment or 0.0)} of the time."
        )
    elif kept:
        said.append(
            f"All {kept} services with a promise had what was promised." if kept > 1 else "The promise was kept."
        )
    unmeasured = [s.service for s in services if s.verdict is Verdict.UNMEASURED]
    if unmeasured:
        said.append(f"{len(unmeasured)} with a promise were not measured: {_some(unmeasured)}.")
    if unrecorded_s:
        said.append(
            f"Nothing was recorded for {duration_text(unrecorded_s)} of the period: there was no service, or the "
            "controller did not run; what services had in that time is not in this report."
        )
    for root, count in Counter(i.root for i in incidents if i.services).most_common(3):
        if count >= OFTEN:
            said.append(f"{root} was the cause of {count} incidents: have it looked at before it is one more.")
    for link in sorted(links, key=lambda k: k.full_in_days if k.full_in_days is not None else 1e9):
        if link.full_in_days is not None and link.full_in_days <= SOON_DAYS:
            sure = link.error_ratio is not None and link.error_ratio <= BELIEVED
            doubt = "" if sure else f" (uncertain: the forecast was {_share(link.error_ratio or 0)} off when tried)"
            said.append(f"{link.link} will be full in about {link.full_in_days:.0f} days: add capacity{doubt}.")
    return tuple(said)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _share(ratio: float) -> str:
    """Keep the nines of what is nearly all, and the first digits of what is nearly nothing."""
    percent = 100 * ratio
    return f"{percent:.4g} %" if percent < 99 else f"{percent:.5g} %"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
