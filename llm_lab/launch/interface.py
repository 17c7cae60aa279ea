"""Which network interface leads to another host."""

from __future__ import annotations

import os
import socket

import psutil

VARIABLE = "GLOO_SOCKET_IFNAME"  # without it gloo takes what the host's own name resolves to


def choose_interface(address: str) -> None:
    """Name the interface towards rank 0 for gloo, unless the user has named one."""
    if VARIABLE not in os.environ and (name := interface_to(address)):
        os.environ[VARIABLE] = name
        os.environ.setdefault("NCCL_SOCKET_IFNAME", name)


def interface_to(address: str) -> str | None:
    """Name of the interface through which packets to ``address`` leave; None where no route is known."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:  # connecting a datagram socket sends nothing
            probe.connect(target)
            local = probe.getsockname()[0]
    except OSError:
        return None
    found = (name for name, items in psutil.net_if_addrs().items() for item in items if item.address == local)
    return next(found, None)
