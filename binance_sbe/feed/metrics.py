"""The counters of a feed for Prometheus: the extra ``metrics``, which is prometheus-client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sbe_codegen.extras import imported
from sbe_codegen.printing import escaped

from ..errors import FeedError
from .feed import Feed
from .intake.stats import Histogram

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_STREAM_COUNTERS = {
    "frames": "Events that were handed on",
    "duplicates": "Events dropped because another connection had brought them",
    "out_of_order": "Events that repeat or go back on one connection",
    "late": "Events that were handed on after later ones",
    "overlaps": "Events that begin before the one before them ends",
    "culled": "Gaps in the ids of bestBidAsk and depth20, which are no loss",
    "lost": "Ids of trades and book updates in holes",
    "dropped": "Events dropped for a slow consumer",
}
_STAGES = {
    "event_to_received": "from the exchange's event time to its arrival",
    "received_to_decoded": "from arrival until decoded",
    "decoded_to_handed_over": "from decoded until handed to the consumer",
    "decoding": "decoding alone",
}
_QUANTILES = (0.5, 0.99, 0.999)


class FeedCollector:
    """What prometheus-client asks for metrics; register it with a registry of your own."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; prometheus-client calls it for each request."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        feed, ledger = self._feed, self._feed.ledger
        totals = {
            "frames": (feed.stats.frames, "Binary frames that arrived"),
            "bytes": (feed.stats.bytes, "Their bytes"),
            "rejected": (feed.stats.rejected, "Frames that were no message, of those handed over"),
            "left_over_bytes": (feed.stats.left_over_bytes, "Bytes after the end of messages"),
            "holes": (ledger.holes_count, "Holes that the ledger has noted"),
            "damaged": (ledger.damaged_count, "Frames that were no message"),
            "stray": (ledger.strays_count, "Events of streams that nobody has subscribed to"),
            "connections": (ledger.connections_count, "Connections that were made"),
            "reconnects": (feed.reconnects, "Attempts to replace a connection that was lost"),
        }
        for name, (value, text) in totals.items():
            yield CounterMetricFamily(f"binance_sbe_{name}", text, value=value)
        up = sum(each.closed_ns is None for each in ledger.connections)
        yield GaugeMetricFamily("binance_sbe_connections_open", "Connections that are up", value=up)
        waiting = GaugeMetricFamily(
            "binance_sbe_waiting", "Frames that wait for the consumer", value=feed.waiting
        )
        yield waiting
        for label, found, text in (
            ("template", ledger.unknown_templates, "Frames of templates that are not known"),
            ("version", ledger.newer_versions, "Frames of a newer version of the schema"),
        ):
            by = CounterMetricFamily(f"binance_sbe_unknown_{label}", text, labels=[label])
            for number, times in list(found.items()):
                by.add_metric([str(number)], times)
            yield by
        for name, text in _STREAM_COUNTERS.items():
            family = CounterMetricFamily(f"binance_sbe_stream_{name}", text, labels=["stream"])
            for stream in list(ledger.streams.values()):
                family.add_metric([label_of(stream.name)], getattr(stream, name))
            yield family
        yield self._latency()

    def _latency(self) -> Metric:
        from prometheus_client.core import SummaryMetricFamily

        text = "; ".join(f"{stage}: {what}" for stage, what in _STAGES.items())
        family = SummaryMetricFamily("binance_sbe_latency_seconds", text, labels=["stage"])
        for stage in _STAGES:
            histogram: Histogram = getattr(self._feed.stats, stage)
            count = histogram.count
            for quantile in _QUANTILES if count else ():
                labels = {"stage": stage, "quantile": str(quantile)}
                value = histogram.percentile(100 * quantile) / 1e9
                family.add_sample("binance_sbe_latency_seconds", labels, value)
            total = histogram.mean * count / 1e9 if count else 0.0
            family.add_metric([stage], count_value=count, sum_value=total)
        return family


def label_of(name: str) -> str:
    """The name of a stream for a label: names that differ stay different, whatever is in them."""
    return escaped(name.replace("\\", "\\\\"))


@contextlib.contextmanager
def serve(feed: Feed, port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Serves the metrics of a feed at ``http://host:port/metrics`` while the block runs.

    Gives the port, for ``port=0``. Other machines reach it only where ``host`` is told to let them:
    "0.0.0.0" and "::" are all addresses of this machine. In a thread of its own, which reads
    counters only. Raises MissingPackage without prometheus-client, FeedError where the port is
    taken, ValueError for what is no port or no address.
    """
    if not isinstance(port, int) or not 0 <= port < 1 << 16:
        raise ValueError(f"port is 0 to 65535, not {port!r}")
    if not (host and isinstance(host, str)):
        raise ValueError(f"host is the address to serve on, not {host!r}")
    prometheus_client = imported("prometheus_client", "metrics.serve", "metrics")
    registry = prometheus_client.CollectorRegistry()
    collector: Any = FeedCollector(feed)
    registry.register(collector)
    try:
        server, thread = prometheus_client.start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        why = error.strerror or error
        raise FeedError(f"metrics can't be served on {host}:{port}: {why}") from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
