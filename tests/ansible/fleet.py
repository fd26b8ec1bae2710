# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simulated hosts for Ansible: each is a nestd on its own private bus, reached by "local".

Ansible's Python interpreter tells the hosts apart: a script that sets the bus address and the path
of nestctl, then starts Python. So every playbook runs unchanged.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from private_bus import private_bus
from running_nestd import Nestd, running_nestd

_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")

# Files written below the host's root before nestd starts; a name in "simulated/machines" is a
# running machine.
Files = Mapping[str, Union[str, bytes]]


@dataclass(frozen=True)
class SimulatedHost:
    name: str
    simulate: str = "intel"
    files: Files = ()  # type: ignore[assignment]
    machines: Sequence[str] = ()
    # The Python that runs Ansible's modules.
    interpreter: str = "/usr/bin/python3"


@dataclass
class Member:
    """A running simulated host; python is the interpreter that Ansible uses on it."""

    host: SimulatedHost
    nestd: Nestd
    python: Path


@contextlib.contextmanager
def many_watches() -> Iterator[None]:
    """Raise the limit for the inotify instances of dozens of nestds, about four each; needs root.

    In a container that may not set it, the limit stays as it is.
    """
    before = _INSTANCES.read_text()
    try:
        _INSTANCES.write_text(str(max(int(before), 1024)))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        _INSTANCES.write_text(before)


@contextlib.contextmanager
def running_hosts(directory: Path, hosts: Sequence[SimulatedHost]) -> Iterator[dict[str, Member]]:
    with contextlib.ExitStack() as stack:
        members = {}
        for host in hosts:
            place = directory / host.name
            place.mkdir(parents=True)
            members[host.name] = _start(stack, place, host)
        yield members


def _start(stack: contextlib.ExitStack, place: Path, host: SimulatedHost) -> Member:
    for path, content in dict(host.files).items():
        file = place / "root" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    bus = stack.enter_context(private_bus("dbus-daemon"))
    nestd = stack.enter_context(running_nestd(bus.address, place, "--simulate", host.simulate))
    for name in host.machines:
        nestd.start_machine(name)
    python = place / "python"
    programs = Path(sys.executable).parent
    python.write_text(
        "#!/bin/sh\n"
        f"export DBUS_SYSTEM_BUS_ADDRESS={shlex.quote(bus.address)}\n"
        f'export PATH={shlex.quote(str(programs))}:"$PATH"\n'
        f'exec {shlex.quote(host.interpreter)} "$@"\n'
    )
    python.chmod(0o755)
    return Member(host, nestd, python)


def inventory(members: Mapping[str, Member]) -> dict[str, object]:
    """An inventory of them, to be written as JSON, a subset of YAML."""
    hosts = {
        name: {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(member.python),
            "ansible_remote_tmp": str(member.python.parent / "tmp"),
        }
        for name, member in members.items()
    }
    return {"all": {"hosts": hosts}}
