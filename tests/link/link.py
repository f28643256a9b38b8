"""A link that misbehaves, between two network namespaces: a TUN device in each, and this process.

Runs as ``python link.py NAMESPACE_A NAMESPACE_B`` (as root), prints ``ready``, and takes commands
on its standard input, a line of names and values: ``loss 5 delay 20``. It ends with its input.

- loss, duplicates, reorder: percent of packets (those reordered overtake what is delayed)
- delay, jitter: milliseconds
- rate: kbit/s of each direction, with a queue of 64 KiB
- hole: 1: all packets vanish; 2: all but those of connections that begin now
- mtu: packets of more bytes vanish
- clear: all is well again
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time
from itertools import count

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
CLONE_NEWNET = 0x40000000
QUEUE = 64 * 1024
NAMES = ("loss", "duplicates", "reorder", "delay", "jitter", "rate", "hole", "mtu")
TCP, SYN = 6, 2


def tun(namespace: str) -> int:
    """A TUN device in a namespace; this process is in it afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(place, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(place)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN | IFF_NO_PI))
    return device


class Link:
    def __init__(self, seed: int = 7) -> None:
        self.chance = random.Random(seed)
        self.clear()
        self.waiting: list[tuple[float, int, int, bytes]] = []  # when, turn, where to, packet
        self.turns = count()
        self.free_at = [0.0, 0.0]
        self.known: set[tuple[int, int]] = set()  # connections that a NAT has forgotten

    def clear(self) -> None:
        self.is_set = dict.fromkeys(NAMES, 0.0)
        self.known = set()

    def command(self, line: str) -> None:
        words = line.split()
        if words[:1] == ["clear"]:
            self.clear()
            return
        for name, value in zip(words[::2], words[1::2], strict=True):
            if name not in NAMES:
                raise SystemExit(f"there is no '{name}'")
            self.is_set[name] = float(value)

    def vanishes(self, packet: bytes) -> bool:
        hole = self.is_set["hole"]
        if hole == 1 or 0 < self.is_set["mtu"] < len(packet):
            return True
        if hole == 2 and packet[9] == TCP:
            at = (packet[0] & 15) * 4
            ports = struct.unpack(">HH", packet[at : at + 4])
            pair = min(ports), max(ports)
            if packet[at + 13] & SYN:
                self.known.add(pair)
            return pair not in self.known
        return self.chance.random() * 100 < self.is_set["loss"]

    def take(self, packet: bytes, to: int, now: float) -> None:
        if self.vanishes(packet):
            return
        copies = 2 if self.chance.random() * 100 < self.is_set["duplicates"] else 1
        for _ in range(copies):
            at = now
            speed = self.is_set["rate"] * 1000 / 8
            if speed:
                if (self.free_at[to] - now) * speed > QUEUE:
                    continue
                self.free_at[to] = max(self.free_at[to], now) + len(packet) / speed
                at = self.free_at[to]
            if self.chance.random() * 100 >= self.is_set["reorder"]:
                spread = self.is_set["jitter"] * self.chance.uniform(-1, 1)
                at += max(0.0, self.is_set["delay"] + spread) / 1000
            heapq.heappush(self.waiting, (at, next(self.turns), to, packet))


def main() -> None:
    devices = [tun(name) for name in sys.argv[1:3]]
    link = Link()
    print("ready", flush=True)
    rest = b""
    while True:
        pause = 1.0
        if link.waiting:
            pause = min(1.0, max(0.0, link.waiting[0][0] - time.monotonic()))
        readable, _, _ = select.select([*devices, 0], [], [], pause)
        now = time.monotonic()
        if 0 in readable:
            said = os.read(0, 4096)
            if not said:
                return
            *lines, rest = (rest + said).split(b"\n")
            for line in lines:
                link.command(line.decode())
        for i, device in enumerate(devices):
            if device in readable:
                for _ in range(64):
                    try:
                        link.take(os.read(device, 65536), 1 - i, now)
                    except BlockingIOError:
                        break
        now = time.monotonic()
        while link.waiting and link.waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(link.waiting)
            with contextlib.suppress(OSError):  # the device is not up
                os.write(devices[to], packet)


if __name__ == "__main__":
    main()
