"""Why a service goes where it goes as messages of onecity.v1. Mechanical, like `messages`."""

from __future__ import annotations

from onecity.v1 import explanation_pb2 as pb

from controller.planning.why import Choice, Explanation, Kind


def explanation(value: Explanation) -> pb.Explanation:
    return pb.Explanation(
        service=value.service,
        kind=value.kind,
        reasons=value.reasons,
        isolations=[_kind(k) for k in value.kinds],
        choices=[_choice(c) for c in value.choices],
        left_out=value.left_out,
    )


def _kind(value: Kind) -> pb.IsolationChoice:
    return pb.IsolationChoice(
        isolation=value.isolation,
        chosen=value.chosen,
        delay_s=value.delay_s,
        price=value.price,
        verdict=value.verdict,
    )


def _choice(value: Choice) -> pb.PathChoice:
    return pb.PathChoice(
        a=value.a,
        z=value.z,
        layer=value.layer,
        options=[
            pb.PathOption(
                chosen=o.chosen,
                way=o.way,
                delay_s=o.delay_s,
                hops=o.hops,
                load=o.load,
                price=o.price,
                verdict=o.verdict,
            )
            for o in value.options
        ],
    )
