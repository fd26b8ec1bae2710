# SPDX-License-Identifier: LGPL-2.1-or-later
"""Formats single values as plain text: times, sizes, machines, jobs, assignments."""

from __future__ import annotations

from collections.abc import Sequence

from nestd.cli.service.values import Assignment, Blocker, Host, Inhibitor, Job, LogDaemon
from nestd.formats.virtualization import is_container, is_machine

KVM_CONF = "/etc/modprobe.d/kvm.conf"
NESTED = "nested"
VENDORS = {
    "intel": "Intel",
    "amd": "AMD",
    "power": "POWER",
    "s390": "IBM Z",
    "none": "no KVM",
}
LEVELS = {1: "debug", 2: "info", 3: "warning", 4: "error"}
LIBVIRT_LEVEL = 3
"""libvirt's default log level: warnings and errors."""
_MOST_NAMED = 4


def on_off(answer: str) -> str:
    """ "yes" and "no" as "on" and "off"; other answers unchanged."""
    return {"yes": "on", "no": "off"}.get(answer, answer)


def plain(value: str) -> str:
    """A value as nestd writes it: 1 and 0 for the Y and N of some modules."""
    return {"Y": "1", "N": "0"}.get(value, value)


def kind_of_host(host: Host) -> str:
    """The hardware, and the hypervisor or container that the host runs in."""
    inside = host.host_virtualization
    if is_container(inside):
        place = f"seen from inside a container ({inside})"
    elif is_machine(inside):
        place = f"itself a virtual machine ({inside})"
    else:
        place = "on bare metal"
    if host.vendor == "none" and host.backend:
        return place  # KVM is present, for none of these vendors
    return f"{VENDORS.get(host.vendor, host.vendor)}, {place}"


def machines(host: Host) -> str:
    """The number and names of the running virtual machines, or of those visible to nestd."""
    names = listed([each.name for each in host.machines])
    count = len(host.machines) or host.machine_count
    if not host.machines_known:
        seen = f"at least {count}: {names}" if names else "not known"
        return f"{seen} (nestd may not look at other users' processes)"
    if names:
        return f"{count} running: {names}"
    return f"{count} running" if count else "none running"


def listed(names: Sequence[str]) -> str:
    """The first few names, separated by commas."""
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def blocker(one: Blocker) -> str:
    """A blocker in a few words."""
    process = f" (pid {one.pid})" if one.pid else ""
    return f"{one.name}{process}"


def inhibitor(one: Inhibitor) -> str:
    """The client that inhibits reloads, and its reason."""
    return f"{one.who} ({one.why})"


def job(one: Job) -> str:
    """The progress of a job."""
    what = f"the {one.kind} of {one.module}"
    if one.state == "waiting":
        names = listed([blocker(each) for each in one.blockers]) or "its turn"
        return f"Job {one.id}: {what} waits for {names}"
    error = f": {one.error}" if one.error else ""
    return f"Job {one.id}: {what} is {one.state}{error}"


def assignment(one: Assignment) -> str:
    """An assignment and its place."""
    return f"{one.parameter}={one.value} ({one.place})"


def filters(text: str, level: int = 0) -> str:
    """What a daemon logs with these filters and LEVEL."""
    rest = f"everything of level {level} and above" if level else "warnings and errors"
    return f"{text}, else {rest}" if text else rest


def is_default(daemon: LogDaemon) -> bool:
    """Whether the daemon's log settings are libvirt's defaults."""
    return not daemon.filters and daemon.level in (0, LIBVIRT_LEVEL)


def duration(seconds: float) -> str:
    """A duration such as 5 s, 2 min 5 s or 1 h 9 min."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s"))
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    shown = [f"{count} {unit}" for count, unit in units[first : first + 2] if count]
    return " ".join(shown) or "0 s"


def size(count: int) -> str:
    """A size in bytes with a suitable unit."""
    number = float(count)
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
