"""What a gNMI update means: states told again still hold, measurements told again are old."""

from __future__ import annotations

import json

import pytest
from pygnmi.spec.v080 import gnmi_pb2

from controller.assurance import receivers as judged
from controller.southbound.measurements import Translator
from controller.southbound.transponders import LIMIT_METRICS, Limits
from lab.gnmi.paths import parse_path, to_message


def _told(leaf: str, value: object, at_ns: int) -> gnmi_pb2.Notification:
    circuit = gnmi_pb2.PathElem(name="circuit", key={"id": "t.s/a-z"})
    names = [gnmi_pb2.PathElem(name="onecity-flow:circuits"), circuit]
    names += [gnmi_pb2.PathElem(name="state"), gnmi_pb2.PathElem(name=leaf)]
    value_message = gnmi_pb2.TypedValue(json_ietf_val=json.dumps(value).encode())
    update = gnmi_pb2.Update(path=gnmi_pb2.Path(elem=names), val=value_message)
    return gnmi_pb2.Notification(timestamp=at_ns, update=[update])


def test_a_state_that_is_told_again_still_holds() -> None:
    translator = Translator("otn", lambda _: None)
    down = _told("oper-status", "DOWN", 5)
    assert [(s.metric, s.value) for s in translator.samples(down)] == [("up", 0.0)]
    assert [(s.metric, s.value) for s in translator.samples(down)] == [("up", 0.0)]


def test_a_measurement_that_is_told_again_is_not_a_new_one() -> None:
    translator = Translator("otn", lambda _: None)
    margin = _told("margin-db", "9.5", 5)
    assert [(s.metric, s.value) for s in translator.samples(margin)] == [("margin_db", 9.5)]
    assert translator.samples(margin) == ()
    assert [s.value for s in translator.samples(_told("margin-db", "9.4", 6))] == [9.4]


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    translator = Translator("otn", lambda _: None)
    hour = 3600 * 10**9
    assert [s.value for s in translator.samples(_told("margin-db", "9.5", 2 * hour))] == [9.5]
    assert [s.value for s in translator.samples(_told("margin-db", "9.4", hour))] == [9.4]
    assert translator.samples(_told("margin-db", "9.4", hour)) == ()
    assert [s.value for s in translator.samples(_told("margin-db", "9.3", hour + 10**9))] == [9.3]


def test_bit_errors_of_a_logical_channel_are_its_circuits_and_darkness_is_no_perfect_line() -> None:
    def told(value: str, at_ns: int) -> gnmi_pb2.Notification:
        names = ("terminal-device", "logical-channels", "channel", "otn", "state", "pre-fec-ber", "instant")
        path = [gnmi_pb2.PathElem(name=n, key={"index": "t.s/a-z"} if n == "channel" else {}) for n in names]
        value_message = gnmi_pb2.TypedValue(json_ietf_val=json.dumps(value).encode())
        update = gnmi_pb2.Update(path=gnmi_pb2.Path(elem=path), val=value_message)
        return gnmi_pb2.Notification(timestamp=at_ns, update=[update])

    translator = Translator("otn", lambda _: None)
    (sample,) = translator.samples(told("3.1e-04", 5))
    assert (sample.subject, sample.metric, sample.value) == ("circuit:t.s/a-z", "pre_fec_ber", 3.1e-4)
    assert translator.samples(told("0.0", 6)) == ()


def test_what_receivers_measure_belongs_to_their_circuits_and_a_counter_tells_by_its_growth() -> None:
    def told(names: tuple[str, ...], value: str, at_s: int) -> gnmi_pb2.Notification:
        keys = {"channel": {"index": "t.s/a-z"}, "component": {"name": "t.s/a-z"}}
        path = [gnmi_pb2.PathElem(name=n, key=keys.get(n, {})) for n in names]
        value_message = gnmi_pb2.TypedValue(json_ietf_val=json.dumps(value).encode())
        update = gnmi_pb2.Update(path=gnmi_pb2.Path(elem=path), val=value_message)
        return gnmi_pb2.Notification(timestamp=at_s * 10**9, update=[update])

    translator = Translator("otn", lambda _: None)
    optical = ("components", "component", "optical-channel", "state")
    for leaf, metric in (("input-power", "rx_dbm"), ("chromatic-dispersion", "dispersion_ps_nm")):
        (sample,) = translator.samples(told((*optical, leaf, "instant"), "-9.50", 5))
        assert (sample.subject, sample.metric, sample.value) == ("circuit:t.s/a-z", metric, -9.5)
    blocks = ("terminal-device", "logical-channels", "channel", "otn", "state", "fec-uncorrectable-blocks")
    assert translator.samples(told(blocks, "700", 5)) == ()  # since when is not known
    (sample,) = translator.samples(told(blocks, "720", 9))
    assert (sample.subject, sample.metric, sample.value) == ("circuit:t.s/a-z", "uncorrectable_per_s", 5.0)
    assert translator.samples(told(blocks, "3", 10)) == ()  # it was reset
    assert [s.value for s in translator.samples(told(blocks, "3", 11))] == [0.0]
    assert translator.samples(told(blocks, "7", 3611)) == ()  # the clock stepped: how long it took nobody knows
    assert [s.value for s in translator.samples(told(blocks, "9", 3612))] == [2.0]
    assert translator.samples(told(blocks, "11", 13)) == ()
    assert [s.value for s in translator.samples(told(blocks, "15", 14))] == [4.0]


OTN = "terminal-device/logical-channels/channel[index=t.s/a-z]/otn/state"
THRESHOLD = "components/component[name=t.s/a-z]/transceiver/thresholds/threshold[severity={}]/state"


def _leaf(path: str, value: bytes, at_s: int = 5) -> gnmi_pb2.Notification:
    update = gnmi_pb2.Update(path=to_message(parse_path(path)), val=gnmi_pb2.TypedValue(json_ietf_val=value))
    return gnmi_pb2.Notification(timestamp=at_s * 10**9, update=[update])


@pytest.mark.parametrize(
    ("leaf", "metric"),
    [
        ("errored-seconds", "errored_s"),
        ("severely-errored-seconds", "severely_errored_s"),
        ("unavailable-seconds", "unavailable_s"),
    ],
)
def test_seconds_are_told_as_equipment_counts_them(leaf: str, metric: str) -> None:
    translator = Translator("otn", lambda _: None)
    for at_s, value in ((5, "12"), (6, "12"), (7, "3")):  # a restart is told as it is: who compares finds out
        (sample,) = translator.samples(_leaf(f"{OTN}/{leaf}", f'"{value}"'.encode(), at_s))
        assert (sample.subject, sample.metric, sample.value) == ("circuit:t.s/a-z", metric, float(value))
    assert translator.samples(_leaf(f"{OTN}/{leaf}", b'"3"', 7)) == ()


def test_limits_are_called_as_those_who_judge_power_call_them() -> None:
    assert set(judged.LIMIT_METRICS) == LIMIT_METRICS


def test_limits_that_equipment_tells_hold_for_as_long_as_they_are_told() -> None:
    translator = Translator("otn", lambda _: None)
    for severity, metric in (("openconfig-alarm-types:CRITICAL", "rx_critical_dbm"), ("WARNING", "rx_warning_dbm")):
        told = _leaf(f"{THRESHOLD.format(severity)}/input-power-lower", b'"-16.50"')
        for _ in range(2):
            found = [(s.subject, s.metric, s.value) for s in translator.samples(told)]
            assert found == [("circuit:t.s/a-z", metric, -16.5)]
    whole = _leaf(THRESHOLD.format("MAJOR"), b'{"severity": "x:MAJOR", "input-power-lower": "-15.5"}')
    assert [(s.metric, s.value) for s in translator.samples(whole)] == [("rx_major_dbm", -15.5)]
    assert translator.samples(_leaf(f"{THRESHOLD.format('INDETERMINATE')}/input-power-lower", b'"-1.0"')) == ()
    assert translator.samples(_leaf(f"{THRESHOLD.format('MAJOR')}/output-power-lower", b'"-1.0"')) == ()


@pytest.mark.parametrize(
    "value", [b'"NaN"', b"NaN", b'"inf"', b"-Infinity", b'"-4000"', b'"21"', b'"none"', b"null", b"true"]
)
def test_a_limit_that_makes_no_sense_is_ignored_and_said_once_over_all_connections(
    value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    limits, path = Limits("city-otn"), f"{THRESHOLD.format('CRITICAL')}/input-power-lower"
    for _ in range(3):  # connections
        translator = Translator("city-otn", lambda _: None, limits)
        for _ in range(3):
            assert translator.samples(_leaf(path, value)) == ()
    (said,) = caplog.messages
    assert said.startswith("domain city-otn: circuit:t.s/a-z tells ")
    assert "what its line mode needs counts instead" in said
    assert [s.value for s in Translator("city-otn", lambda _: None, limits).samples(_leaf(path, b"-17"))] == [-17.0]


def test_an_alarm_is_told_with_its_severity_once_all_of_it_is_here_and_again_when_it_is_cleared() -> None:
    def path(leaf: str) -> gnmi_pb2.Path:
        alarm = gnmi_pb2.PathElem(name="alarm", key={"id": "fibre:f-1/LOS"})
        names = [gnmi_pb2.PathElem(name="system"), gnmi_pb2.PathElem(name="alarms"), alarm]
        return gnmi_pb2.Path(elem=[*names, gnmi_pb2.PathElem(name="state"), gnmi_pb2.PathElem(name=leaf)])

    def raised(leaves: dict[str, str]) -> gnmi_pb2.Notification:
        values = {k: gnmi_pb2.TypedValue(json_ietf_val=json.dumps(v).encode()) for k, v in leaves.items()}
        updates = [gnmi_pb2.Update(path=path(k), val=v) for k, v in values.items()]
        return gnmi_pb2.Notification(timestamp=5, update=updates)

    translator = Translator("otn", lambda _: None)
    assert translator.samples(raised({"resource": "fibre:f-1", "type-id": "openconfig-alarm-types:LOS"})) == ()
    (told,) = translator.samples(raised({"severity": "openconfig-alarm-types:CRITICAL"}))
    assert (told.subject, told.metric, told.value) == ("alarm:fibre:f-1", "los", 4.0)
    cleared = gnmi_pb2.Notification(timestamp=9, delete=[path("resource"), path("severity")])
    assert [(s.subject, s.value) for s in translator.samples(cleared)] == [("alarm:fibre:f-1", 0.0)]
    assert translator.samples(cleared) == ()


@pytest.mark.parametrize(
    ("path", "subject", "metric"),
    [
        (
            "optical-amplifier/amplifiers/amplifier[name=f-1@otn-a]/state/actual-gain/instant",
            "amplifier:f-1@otn-a", "gain_db",
        ),
        (
            "optical-amplifier/amplifiers/amplifier[name=f-1@otn-a]/state/input-power-total/instant",
            "amplifier:f-1@otn-a", "input_dbm",
        ),
        (
            "channel-monitors/channel-monitor[name=f-1@otn-a]/channels/channel[lower-frequency=191325000]"
            "[upper-frequency=191375000]/state/power", "channel:f-1@otn-a/191325000", "power_dbm",
        ),
        ("onecity-flow:fibres/fibre[id=f-1]/state/span-loss-db", "fibre:f-1", "span_loss_db"),
    ],
)  # fmt: skip
def test_what_line_equipment_tells_belongs_to_amplifiers_channels_and_fibres(
    path: str, subject: str, metric: str
) -> None:
    value = gnmi_pb2.TypedValue(json_ietf_val=b'"-12.25"')
    update = gnmi_pb2.Update(path=to_message(parse_path(path)), val=value)
    (sample,) = Translator("otn", lambda _: None).samples(gnmi_pb2.Notification(timestamp=5, update=[update]))
    assert (sample.subject, sample.metric, sample.value) == (subject, metric, -12.25)
