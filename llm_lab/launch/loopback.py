"""A rendezvous for the ranks of one machine that nobody outside can reach; torch's own listens on all interfaces."""

from __future__ import annotations

import socket
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous

NAME, ADDRESS = "loopback", "127.0.0.1"


class Loopback(StaticTCPRendezvous):
    """The agent's store on a free port of the loopback interface, bound before anybody is told of it."""

    def get_backend(self) -> str:
        """Its name in the registry."""
        return NAME

    def next_rendezvous(self) -> RendezvousInfo:
        """Open the store at the first call; later rounds, after a restart, meet at the same one."""
        if self._store is None:
            listener = socket.create_server((ADDRESS, 0))
            self.master_port = listener.getsockname()[1]
            self._store = TCPStore(
                ADDRESS,
                self.master_port,
                is_master=True,
                timeout=self.timeout,
                wait_for_workers=False,
                master_listen_fd=listener.detach(),
            )
        where = RendezvousStoreInfo(self.master_addr, self.master_port)
        return RendezvousInfo(PrefixStore(self.run_id, self._store), 0, 1, where)


def _create(parameters: RendezvousParameters) -> RendezvousHandler:
    return Loopback(
        master_addr=ADDRESS,
        master_port=0,
        rank=0,
        world_size=1,
        run_id=parameters.run_id,
        timeout=int(timedelta(seconds=parameters.config.get("timeout", 120)).total_seconds()),
    )


def register() -> None:
    """Make it known to torch; doing it twice is harmless."""
    if NAME not in rendezvous_handler_registry._registry:  # noqa: SLF001 - it offers no way to ask
        rendezvous_handler_registry.register(NAME, _create)
