import socket
from collections.abc import Callable
from typing import Any

from .opening import Opened, Tls
from .poller import Owner, Poller
from .watch import Watch

class Wire(Owner):
    fd: int
    def __init__(
        self,
        connected: socket.socket,
        poller: Poller | Watch,
        soon: Callable[[Callable[[], object]], object],
        broken: Callable[[Exception], object],
    ) -> None: ...
    def set_protocol(self, protocol: Any) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def abort(self) -> None: ...

class SecureWire(Wire):
    def __init__(
        self,
        connected: socket.socket,
        poller: Poller | Watch,
        soon: Callable[[Callable[[], object]], object],
        broken: Callable[[Exception], object],
        tls: Tls,
    ) -> None: ...
    def decrypt(self) -> int: ...

def wire_of(
    opened: Opened,
    poller: Poller | Watch,
    soon: Callable[[Callable[[], object]], object],
    broken: Callable[[Exception], object],
) -> Wire: ...
