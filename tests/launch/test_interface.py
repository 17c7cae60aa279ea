"""The network interface that leads to rank 0."""

from __future__ import annotations

import psutil
import pytest

from llm_lab.launch import interface
from llm_lab.launch.interface import VARIABLE, choose_interface, interface_to


def test_loopback_leads_to_this_machine() -> None:
    name = interface_to("127.0.0.1")
    assert name is not None
    assert "127.0.0.1" in [item.address for item in psutil.net_if_addrs()[name]]


def test_a_host_that_nobody_knows_has_none() -> None:
    assert interface_to("no-such-host.invalid") is None


def test_it_is_chosen_for_gloo_and_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(interface.os, "environ", environment)
    choose_interface("127.0.0.1")
    assert environment == {
        VARIABLE: interface_to("127.0.0.1"),
        "NCCL_SOCKET_IFNAME": interface_to("127.0.0.1"),
    }


def test_what_the_user_named_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "ib0")
    monkeypatch.delenv("NCCL_SOCKET_IFNAME", raising=False)
    choose_interface("127.0.0.1")
    assert interface.os.environ[VARIABLE] == "ib0"
    assert "NCCL_SOCKET_IFNAME" not in interface.os.environ
