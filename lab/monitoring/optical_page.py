"""The dashboard of the optical layer."""

from __future__ import annotations

from lab.monitoring.shapes import Page, Panel, q, stat

OPTICAL = Page(
    "onecity-optical",
    "onecity · optical layer",
    "Fibres, what is lit on them, and how much margin the light has left.",
    (
        (
            "Now",
            (
                stat("Fibres whole", "sum(onecity_fibre_up)"),
                stat("Fibres dark", "count(onecity_fibre_up == 0) or vector(0)", above=1),
                stat("Circuits measured", "sum(onecity_circuits)"),
                stat("Least margin", "min(onecity_circuit_margin_decibels)", "dB", below=2.0),
                stat("ODU links down", 'onecity_components_down{kind="odu"}', above=1),
                stat("Held down for flapping", "onecity_components_flapping", above=1),
            ),
        ),
        (
            "Light",
            (
                Panel(
                    "Margin, the twenty worst",
                    (q("bottomk(20, onecity_circuit_margin_decibels)", "{{circuit}}"),),
                    "dB",
                    words="Warning below 2 dB, critical below 0.5 dB.",
                    red_below=2.0,
                ),
                Panel(
                    "Bit errors before correction",
                    (q("topk(20, onecity_circuit_pre_fec_ber)", "{{circuit}}"),),
                    "sci",
                ),
                Panel("Delay of circuits", (q("topk(20, onecity_circuit_delay_seconds)", "{{circuit}}"),), "s"),
                Panel(
                    "Channels lit",
                    (q("topk(20, onecity_fibre_channels_taken / onecity_fibre_channels)", "{{fibre}}"),),
                    "percentunit",
                ),
                Panel("Fibres", (q("onecity_fibre_up", "{{fibre}}"),), "bool_yes_no", "table"),
            ),
        ),
        (
            "Receivers",
            (
                Panel(
                    "Power over what receivers need, the twenty weakest",
                    (q("bottomk(20, onecity_circuit_rx_margin_decibels)", "{{circuit}}"),),
                    "dB",
                    words="Warning below 3 dB, major below 1 dB. One alone is its patch cord, several are a fibre.",
                    red_below=1.0,
                ),
                Panel("Light received", (q("bottomk(20, onecity_circuit_rx_power_dbm)", "{{circuit}}"),), "dBm"),
                Panel(
                    "Blocks that no code corrects",
                    (q("topk(20, onecity_circuit_uncorrectable_blocks_per_second)", "{{circuit}}"),),
                    "ops",
                    red_above=0.001,
                ),
                Panel(
                    "Seconds severely errored or unavailable, within ten minutes",
                    (
                        q(
                            "topk(10, increase(onecity_circuit_unavailable_seconds_total[10m]))",
                            "{{circuit}} unavailable",
                        ),
                        q(
                            "topk(10, increase(onecity_circuit_severely_errored_seconds_total[10m]))",
                            "{{circuit}} severely errored",
                        ),
                    ),
                    "s",
                    words="Ten severely errored in a row begin unavailable time (G.8201), as does darkness.",
                    red_above=1.0,
                ),
                Panel(
                    "Errored seconds, within ten minutes",
                    (q("topk(20, increase(onecity_circuit_errored_seconds_total[10m]))", "{{circuit}}"),),
                    "s",
                ),
                Panel(
                    "Chromatic dispersion, change within an hour",
                    (
                        q(
                            "topk(20, max_over_time(onecity_circuit_dispersion_ps_nm[1h])"
                            " - min_over_time(onecity_circuit_dispersion_ps_nm[1h]))",
                            "{{circuit}}",
                        ),
                    ),
                    words="In ps/nm; 50 are 3 km. What we moved ourselves shows here too.",
                ),
                Panel("Alarms that stand", (q("onecity_alarms_standing", "{{kind}}"),), red_above=1.0),
            ),
        ),
        (
            "Lines",
            (
                Panel(
                    "Span loss, the twenty greatest",
                    (q("topk(20, onecity_fibre_span_loss_decibels)", "{{fibre}}"),),
                    "dB",
                ),
                Panel(
                    "Loss beyond what was built, the twenty greatest",
                    (q("topk(20, onecity_fibre_excess_loss_decibels)", "{{fibre}}"),),
                    "dB",
                    red_above=3.0,
                ),
                Panel(
                    "Gain of amplifiers",
                    (q("topk(20, onecity_amplifier_gain_decibels)", "{{amplifier}}"),),
                    "dB",
                    words="A fibre that dims makes the amplifier behind it work harder, until it can no more.",
                ),
                Panel(
                    "Light that amplifiers get, the twenty weakest",
                    (q("bottomk(20, onecity_amplifier_input_power_dbm)", "{{amplifier}}"),),
                    "dBm",
                ),
                Panel(
                    "Light that amplifiers give",
                    (q("bottomk(20, onecity_amplifier_output_power_dbm)", "{{amplifier}}"),),
                    "dBm",
                ),
                Panel(
                    "Channels: the weakest and the strongest",
                    (
                        q('bottomk(20, onecity_channel_power_dbm{channel="weakest"})', "{{monitor}} weakest"),
                        q('topk(5, onecity_channel_power_dbm{channel="strongest"})', "{{monitor}} strongest"),
                    ),
                    "dBm",
                ),
            ),
        ),
    ),
)
