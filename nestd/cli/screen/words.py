# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state in plain words. Text only: nothing here asks or prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nestd.cli.service.values import Assignment, Blocker, Host, Job, Machine, Module

KVM_CONF = "/etc/modprobe.d/kvm.conf"
NESTED = "nested"
VENDORS = {"intel": "Intel", "amd": "AMD", "power": "POWER", "s390": "IBM Z", "none": "no KVM"}
LEVELS = {1: "debug", 2: "info", 3: "warning", 4: "error"}
_MOST_NAMED = 4
# As systemd-detect-virt names them; what else it names is a virtual machine.
_CONTAINERS = (
    *("docker", "podman", "lxc", "lxc-libvirt", "systemd-nspawn", "openvz", "rkt", "wsl"),
    *("proot", "pouch", "container-other"),
)
_TRUE, _FALSE = ("1", "y", "yes", "on", "true"), ("0", "n", "no", "off", "false")


def on_off(answer: str) -> str:
    """ "yes" and "no" as on and off; other answers as they are."""
    return {"yes": "on", "no": "off"}.get(answer, answer)


def headline(host: Host, default: str = "") -> str:
    """Is nested virtualization on, and after a reboot? One or two sentences.

    DEFAULT is what Validate finds of the next load, where the kernel's default decides it: "pass"
    where it leaves things as they are, "warn" where it does not.
    """
    module = host.main
    if module is None or module.state == "missing":
        return "Nested virtualization is not available: no KVM module here suits the processor."
    if module.state == "config-error":
        return (
            f"Nested virtualization {_now(module)}, but the next load of {module.name} will fail."
        )
    if module.state == "builtin":
        return f"Nested virtualization {_now(module)}. {module.name} is built into this kernel."
    following = on_off(module.nested_next)
    if module.nested_next == "default" and default in ("pass", "warn"):
        following = by_default(module, default)
    elif module.nested_next == "default":
        return f"Nested virtualization {_now(module)}. After a reboot the kernel's default decides."
    if module.nested == "unknown":
        return f"Nested virtualization {_now(module)}, and {following} once it is loaded."
    if on_off(module.nested) == following:
        return f"Nested virtualization {_now(module)}, and stays {following} after a reboot."
    return f"Nested virtualization {_now(module)} now, and will be {following} after a reboot."


def by_default(module: Module, verdict: str) -> str:
    """What the kernel's default will be, where it is found to be as it is now, or not."""
    now, other = ("on", "off") if module.nested == "yes" else ("off", "on")
    return {"pass": now, "warn": other}[verdict]


def _now(module: Module) -> str:
    if module.nested == "unknown":
        return f"is not in use: {module.name} is not loaded"
    return f"is {on_off(module.nested)}"


def drift(host: Host, module: Module) -> Iterator[str]:
    """Where running, configured and next differ, and what to do. Sentences."""
    name = module.name
    if module.state == "reload-pending":
        differing = ", ".join(pending(module)) or "its parameters"
        yield f"{name} was loaded before its configuration was changed ({differing})."
    elif module.state == "overridden":
        yield from _overridden(module)
    elif module.state == "config-error":
        passed = [assignment(each) for each in module.assignments]
        if not passed:
            yield "A file in modprobe.d stops modprobe: nestctl validate names it."
            return
        one_of = "" if len(passed) == 1 else "one of "
        yield (
            f"{name} would refuse {one_of}{', '.join(passed)}, or a file in modprobe.d stops"
            " modprobe: nestctl validate tells which."
        )
    elif module.state == "builtin" and module is host.main:
        yield f"Only the kernel command line sets it: {name}.{NESTED}=1, or 0 for off."


def pending(module: Module) -> list[str]:
    """The parameters that the next load would change, each as "PARAMETER RUNNING -> NEXT"."""
    following = {each.parameter: each.value for each in module.assignments}
    return [
        f"{name} {plain(running)} -> {plain(following[name])}"
        for name, running in module.parameters.items()
        if name in following and not same(running, following[name])
    ]


def plain(value: str) -> str:
    """A value as nestd writes it: 1 and 0 where some modules show Y and N."""
    return {"Y": "1", "N": "0"}.get(value, value)


def _overridden(module: Module) -> Iterator[str]:
    for parameter, value in module.configured.items():
        winner = module.decides(parameter)
        if winner is not None and not same(winner.value, value):
            yield (
                f"{KVM_CONF} sets {parameter}={value} for {module.name}, but {winner.place} sets"
                f" {parameter}={winner.value} and decides. Change it there."
            )


def same(one: str, other: str) -> bool:
    """Whether two values of a parameter mean the same to the kernel, as far as can be told."""
    return one == other or any(
        {one.lower(), other.lower()} <= set(all_) for all_ in (_TRUE, _FALSE)
    )


def configured(module: Module) -> str:
    """What kvm.conf says of nested."""
    if module.nested_configured == "unset":
        return f"not set in {KVM_CONF}"
    return f"{on_off(module.nested_configured)}, in {KVM_CONF}"


def next_load(module: Module, default: str = "") -> str:
    """What the next load makes of nested, and who decides; DEFAULT as in headline()."""
    if module.nested_next == "default" and default in ("pass", "warn"):
        return f"{by_default(module, default)}, the kernel's default"
    if module.nested_next == "default":
        return "the kernel's default"
    winner = module.decides(NESTED)
    place = f", decided by {winner.place}" if winner is not None else ""
    return f"{on_off(module.nested_next)}{place}"


def running(module: Module) -> str:
    """What runs."""
    if module.nested == "unknown":
        return f"{module.name} is not loaded" if not module.loaded else "unknown"
    return on_off(module.nested)


def kind_of_host(host: Host) -> str:
    """Which hardware, and what it runs in."""
    inside = host.host_virtualization
    if inside in _CONTAINERS:
        place = f"seen from inside a container ({inside})"
    elif inside in ("none", ""):
        place = "on bare metal"
    else:
        place = f"itself a virtual machine ({inside})"
    return f"{VENDORS.get(host.vendor, host.vendor)}, {place}"


def machines(found: Sequence[Machine], count: int) -> str:
    """How many virtual machines run, and which."""
    if found:
        return f"{len(found)} running: {listed([each.name for each in found])}"
    return f"{count} running" if count else "none running"


def listed(names: Sequence[str]) -> str:
    """Names with commas, the first few of them."""
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def blocker(one: Blocker) -> str:
    """A blocker in a few words."""
    process = f" (pid {one.pid})" if one.pid else ""
    return f"{one.name}{process}"


def job(one: Job) -> str:
    """How far a job is."""
    if one.state == "waiting":
        names = listed([blocker(each) for each in one.blockers]) or "its moment"
        return f"Job {one.id}: the reload of {one.module} waits for {names}"
    error = f": {one.error}" if one.error else ""
    return f"Job {one.id}: the reload of {one.module} is {one.state}{error}"


def assignment(one: Assignment) -> str:
    """An assignment and where it stands."""
    return f"{one.parameter}={one.value} ({one.place})"


def duration(seconds: float) -> str:
    """A time as people say it: 9:43, or 1:09:43."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    tail = f"{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
    return f"{hours}:{tail}" if hours else tail


def size(count: int) -> str:
    """Bytes as people say them."""
    number = float(count)
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
