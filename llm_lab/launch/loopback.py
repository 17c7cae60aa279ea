"""A rendezvous for the ranks of one machine that nobody outside can reach; torch's own listens on all interfaces."""

from __future__ import annotations

import socket
from datetime import timedelta
from ipaddress import ip_address

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


def is_loopback(address: str) -> bool:
    """Whether an address, or the name of a host, is this machine's own to itself alone."""
    try:
        return ip_address(socket.gethostbyname(address)).is_loopback
    except (OSError, ValueError):
        return False


def serve(address: str, port: int, *, timeout: timedelta, world_size: int | None = None) -> TCPStore:
    """Open a store that listens at one address only; torch's own listens at all of them.

    Args:
        address: of an interface of this machine.
        port: 0 for any that is free.
        timeout: for the ranks to come.
        world_size: number of ranks to wait for; None waits for none.
    """
    listener = socket.create_server((address, port))
    return TCPStore(
        address,
        listener.getsockname()[1],
        world_size,
        is_master=True,
        timeout=timeout,
        wait_for_workers=world_size is not None,
        master_listen_fd=listener.detach(),
    )


class Loopback(StaticTCPRendezvous):
    """The agent's store on a free port of the loopback interface, bound before anybody is told of it."""

    def get_backend(self) -> str:
        """Its name in the registry."""
        return NAME

    def next_rendezvous(self) -> RendezvousInfo:
        """Open the store at the first call; later rounds, after a restart, meet at the same one."""
        if self._store is None:
            self._store = serve(ADDRESS, 0, timeout=self.timeout)
            self.master_port = self._store.port
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
