"""The Prometheus text: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from __future__ import annotations

import pytest

from hub.metrics import DESCRIBED, Metrics


def test_counters_gauges_and_histograms_are_told() -> None:
    metrics = Metrics()
    metrics.count("hub_messages_total", "ward", "accepted")
    metrics.count("hub_messages_total", "ward", "accepted", by=2)
    metrics.put("hub_ready", value=1)
    metrics.observe("hub_http_seconds", "read", seconds=0.002)
    metrics.observe("hub_http_seconds", "read", seconds=60)
    text = metrics.text([("hub_deliveries", ('a"b\n\\',), 2.0)])
    assert 'hub_messages_total{channel="ward",outcome="accepted"} 3\n' in text
    assert "hub_ready 1\n" in text
    assert 'hub_deliveries{state="a\\"b\\n\\\\"} 2\n' in text
    assert 'hub_http_seconds_bucket{interaction="read",le="0.001"} 0\n' in text
    assert 'hub_http_seconds_bucket{interaction="read",le="0.0025"} 1\n' in text
    assert 'hub_http_seconds_bucket{interaction="read",le="+Inf"} 2\n' in text
    assert 'hub_http_seconds_count{interaction="read"} 2\n' in text
    assert metrics.value("hub_messages_total", "ward", "accepted") == 3


def test_every_metric_has_help_and_a_type() -> None:
    text = Metrics().text()
    for name, described in DESCRIBED.items():
        assert f"# HELP {name} {described.help}\n# TYPE {name} {described.type}\n" in text


@pytest.mark.parametrize(("name", "labels"), [("hub_nonsense", ()), ("hub_messages_total", ("ward",))])
def test_unknown_names_and_labels_are_refused(name: str, labels: tuple[str, ...]) -> None:
    with pytest.raises(KeyError):
        Metrics().count(name, *labels)


def test_sources_are_read_when_asked() -> None:
    metrics = Metrics()
    metrics.source(lambda: [("hub_backlog", ("ward",), 7.0)])
    assert 'hub_backlog{channel="ward"} 7' in metrics.text()
