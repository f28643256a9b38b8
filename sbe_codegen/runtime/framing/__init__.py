"""How messages are told apart on a wire that has more than one of them.

A byte stream (TCP, a serial file) goes through a splitter, which is fed what was read and gives
whole messages: `SofhSplitter` for the FIX Simple Open Framing Header, `LengthSplitter` for a length
in front of each message. A datagram (UDP) with a header and many messages is described by a
`PacketLayout`; `Packets` and `Capture` (of pcap and pcapng files) are inputs of `decode_many`.
"""

from .captures import Capture as Capture
from .captures import Datagram as Datagram
from .lengths import LengthSplitter as LengthSplitter
from .packets import B3 as B3
from .packets import CME_MDP3 as CME_MDP3
from .packets import Loss as Loss
from .packets import PacketLayout as PacketLayout
from .packets import Packets as Packets
from .sofh import Splitter as SofhSplitter
from .streams import FramingError as FramingError
from .streams import PacketError as PacketError

__all__ = [
    "B3",
    "CME_MDP3",
    "Capture",
    "Datagram",
    "FramingError",
    "LengthSplitter",
    "Loss",
    "PacketError",
    "PacketLayout",
    "Packets",
    "SofhSplitter",
]
