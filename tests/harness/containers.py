"""How a container reaches the simulated AWS on this machine."""

import contextlib
import functools
import json
import socket
import subprocess

BY_NAME = "host.docker.internal"


@functools.cache
def docker_runs():
    return _docker("info", "--format", "{{.ServerVersion}}") is not None


def _docker(*arguments):
    """What the client printed, or nothing where there is no client or no engine behind it."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=10)
        if ended.returncode == 0 and ended.stdout.strip():
            return ended.stdout.strip()
    return None


@functools.cache
def bridge():
    """The host's address on Docker's bridge, where the host has one: Docker Desktop's is in its machine."""
    inspected = _docker("network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}")
    addresses = [it["Gateway"] for it in json.loads(inspected) if "Gateway" in it] if inspected else []
    for address in [*addresses, "172.17.0.1"]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, 0))
            return address
    return None


def way_to_the_host(listen=""):
    """The name by which a container finds the host, and the addresses to listen on for that. Only the bridge's:
    nobody else in the network needs the simulated AWS."""
    if listen:
        return listen, [listen]
    if bridge():
        return bridge(), [bridge()]
    return BY_NAME, []
