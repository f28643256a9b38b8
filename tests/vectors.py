"""Frames whose contents are known, checked by hand against the layouts of the stream schema."""

import itertools

BEST_BID_ASK = bytes.fromhex(
    "32001127010000007b600cba992a06007940e51700000000fef8f99e8f0000000000103adc0100000000"
    "fa9e8f0000000000206c6c02000000000742544355534454"
)
TRADES = bytes.fromhex(
    "12001027010000007b600cba992a060064600cba992a0600fef81900010000003930000000000000"
    "f99e8f000000000000e1f50500000000010742544355534454"
)
DEPTH_DIFF = bytes.fromhex(
    "1a001327010000007b600cba992a06009d00000000000000a000000000000000fef810000100"
    "f99e8f00000000000000000000000000100000000742544355534454"
)
DEPTH_SNAPSHOT = bytes.fromhex(
    "12001227010000007b600cba992a0600a000000000000000fef810000100f99e8f0000000000"
    "103adc010000000010000100fa9e8f0000000000206c6c02000000000742544355534454"
)
# As a sender of version 1 might extend it: a root block of 21 bytes, entries of 18.
NEWER_SNAPSHOT = bytes.fromhex(
    "15001227010001007b600cba992a0600a000000000000000fef8aabbcc12000100f99e8f0000000000"
    "103adc01000000001122120000000742544355534454"
)
ALL = {
    "TradesStreamEvent": TRADES,
    "BestBidAskStreamEvent": BEST_BID_ASK,
    "DepthSnapshotStreamEvent": DEPTH_SNAPSHOT,
    "DepthDiffStreamEvent": DEPTH_DIFF,
}


_ids = itertools.count(12346)


def next_trade() -> bytes:
    """TRADES with the id after that of the one before: what is repeated is dropped by a feed."""
    return TRADES[:32] + next(_ids).to_bytes(8, "little") + TRADES[40:]
