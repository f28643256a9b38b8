"""`binance_sbe.feed.metrics`, by the name that programs know."""

from .feed.metrics import FeedCollector, label_of, serve

__all__ = ["FeedCollector", "label_of", "serve"]
