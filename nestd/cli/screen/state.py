# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of nested virtualization in words: the current one, that after a boot, and why.

All values come from nestd; none is derived here. A service of version 1.0 does not report the next
boot (host.nested.at_boot is ""); the next load is shown instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from nestd.cli.screen.formatting import KVM_CONF, NESTED, on_off, plain
from nestd.cli.service.values import Host, Module
from nestd.formats.modprobe.load_obstacle import LoadObstacle, ObstacleKind, sentence

_NO_KVM = "Nested virtualization is not available: no KVM module here suits the processor."
_NOT_RUNNING = "Nested virtualization is not available: KVM does not run here."
_HARMLESS = (ObstacleKind.UNKNOWN_PARAMETER.value,)


def headline(host: Host, default: str = "") -> str:
    """One or two sentences: is nested virtualization on now, and after a reboot?

    DEFAULT is for a service of version 1.0, if the kernel's default decides: "pass" if Validate
    finds that the next load changes nothing, "warn" if it does.
    """
    module = host.main
    if module is None or module.state == "missing":
        return _without_module(host)
    if host.nested.at_boot:
        return _at_boot(host, module)
    if module.state == "config-error":
        fails = f"the next load of {module.name} will fail"
        return f"Nested virtualization {_now(module)}, but {fails}."
    if module.state == "builtin":
        return f"Nested virtualization {_now(module)}. {module.name} is built into this kernel."
    following = on_off(module.nested_next)
    if module.nested_next == "default":
        following = by_default(module, default)
    if not following:
        return f"Nested virtualization {_now(module)}. After a reboot the kernel's default decides."
    return _two(module, following)


def _without_module(host: Host) -> str:
    if not host.backend and host.nested.at_boot != "yes":
        return _NO_KVM if host.modules else _NOT_RUNNING
    if host.nested.running in ("yes", "no"):
        now, later = on_off(host.nested.running), on_off(host.nested.at_boot)
        stays = f"stays {now}" if now == later else f"will be {later}"
        return f"Nested virtualization is {now}, and {stays} after a reboot."
    if host.backend == "builtin":
        return "KVM is built into this kernel; whether its virtual machines can nest is not known."
    if host.backend not in ("", host.host_module):
        return (
            f"KVM runs through {host.backend}, which nestd does not know: whether its virtual"
            " machines can nest is not known."
        )
    return _NO_KVM


def _at_boot(host: Host, module: Module) -> str:
    if is_withheld(host, module):
        return (
            "Nested virtualization is not available: in a logical partition (LPAR) KVM gives it to"
            f" no guest, whatever {module.name}.{NESTED} is."
        )
    following = on_off(host.nested.at_boot)
    found = obstacles(module)
    if found and host.nested.at_boot != "yes":
        until = _until_boot(module, host.nested.at_boot)
        return f"Nested virtualization {until}. {obstacle(module, found[0])}"
    if module.state == "builtin":
        decided = f"; {module.name} is built into this kernel"
        return _two(module, following).rstrip(".") + f"{decided}."
    if following == "unknown":
        return f"Nested virtualization {_now(module)}. What a reboot brings is not known."
    return _two(module, following)


def is_withheld(host: Host, module: Module) -> bool:
    """Whether guests get no nested virtualization although it is on in the module."""
    return module.nested == "yes" and host.nested.running == "no"


def _until_boot(module: Module, at_boot: str) -> str:
    if at_boot == "unknown":
        return f"{_now(module)}. Whether {module.name} is loaded after a reboot is not known"
    if module.nested == "yes":
        return "is on now, but not after a reboot"
    if module.nested == "no":
        return f"is off, and after a reboot {module.name} is not loaded"
    return f"{_now(module)}, nor will it be after a reboot"


def _two(module: Module, following: str) -> str:
    if module.nested == "unknown":
        if not _is_loaded(module):
            return f"Nested virtualization {_now(module)}. It will be {following} once it is."
        return f"Nested virtualization {_now(module)}; after a reboot it will be {following}."
    if on_off(module.nested) == following:
        return f"Nested virtualization {_now(module)}, and stays {following} after a reboot."
    return f"Nested virtualization {_now(module)} now, and will be {following} after a reboot."


def _now(module: Module) -> str:
    if module.nested != "unknown":
        return f"is {on_off(module.nested)}"
    if _is_loaded(module):
        reason = f" ({module.read_error.rstrip('.')})" if module.read_error else ""
        return f"is not known{reason}"
    return f"is not in use: {module.name} is not loaded"


def _is_loaded(module: Module) -> bool:
    return module.loaded and module.state != "not-loaded"


def without_module(host: Host) -> Iterator[tuple[str, str]]:
    """Rows of the current state and that after a boot, on a host where no module decides."""
    if not host.backend:
        return
    yield "KVM", "built into the kernel" if host.backend == "builtin" else host.backend
    if host.nested.running in ("yes", "no"):
        decides = host.nested.decided_by or "kernel default"
        yield "Running", on_off(host.nested.running)
        yield "At boot", f"{on_off(host.nested.at_boot)}, decided by the {decides}"


def by_default(module: Module, verdict: str) -> str:
    """The kernel's default for the next load compared with now; "" if unknown."""
    now, other = ("on", "off") if module.nested == "yes" else ("off", "on")
    return "" if module.nested == "unknown" else {"pass": now, "warn": other}.get(verdict, "")


def obstacles(module: Module) -> list[LoadObstacle]:
    """The obstacles to loading a module at the next boot, except ignored parameters."""
    return [each for each in module.load_obstacles if each.kind not in _HARMLESS]


def obstacle(module: Module, one: LoadObstacle) -> str:
    """An obstacle to loading a module, as a sentence."""
    return sentence(module.name, one)


def drift(host: Host, module: Module) -> Iterator[str]:
    """Sentences about differences between running, configured and next, and what to do."""
    name = module.name
    if module.read_error and module is not host.main:
        yield f"{module.read_error.rstrip('.')}."
    if module.state == "reload-pending":
        differing = ", ".join(pending(module)) or "its parameters"
        yield f"{name} was loaded before its configuration was changed ({differing})."
    elif module.state == "overridden":
        yield from _overridden(module)
    elif module.state == "config-error":
        yield from _config_error(host, module)
    elif module.state == "builtin" and module is host.main:
        yield f"Only the kernel command line sets it: {name}.{NESTED}=1, or 0 for off."


def _config_error(host: Host, module: Module) -> Iterator[str]:
    found = obstacles(module)
    if not found:
        yield (
            f"{module.name} will not be loaded: it refuses a value, or a file in modprobe.d stops"
            " modprobe. To see which line: nestctl validate"
        )
    elif module is not host.main and not (host.main and obstacles(host.main)):
        yield obstacle(module, found[0])


def pending(module: Module) -> list[str]:
    """The parameters that the next load changes, as "PARAMETER RUNNING -> NEXT"."""
    return [
        f"{each.parameter} {plain(each.running)} -> {plain(each.next) or 'no value'}"
        for each in module.pending or ()
    ]


def _overridden(module: Module) -> Iterator[str]:
    for parameter, value in module.configured.items():
        winner = module.decides(parameter)
        if winner is not None and winner.file != KVM_CONF and winner.value != value:
            yield (
                f"{KVM_CONF} sets {parameter}={value} for {module.name}, but {winner.place} sets"
                f" {parameter}={winner.value} and decides. Change it there."
            )


def configured(module: Module) -> str:
    """The value of nested in kvm.conf."""
    if module.nested_configured == "unset":
        return f"not set in {KVM_CONF}"
    return f"{on_off(module.nested_configured)}, in {KVM_CONF}"


def next_load(host: Host, module: Module, default: str = "") -> str:
    """The value of nested after the next load and its source; DEFAULT as in headline()."""
    if module.nested_next == "default":
        known = by_default(module, default)
        if module.nested_at_boot in ("yes", "no") and not obstacles(module):
            known = on_off(module.nested_at_boot)
        return f"{known}, the kernel's default" if known else "the kernel's default"
    winner = module.decides(NESTED)
    place = f", decided by {winner.place}" if winner is not None else ""
    return f"{on_off(module.nested_next)}{place}"


def at_boot(host: Host, module: Module) -> str:
    """Why the module is not loaded at boot; "" if it is loaded."""
    found = obstacles(module)
    if not found or host.nested.at_boot == "yes":
        return ""
    loads = "may not be" if host.nested.at_boot == "unknown" else "is not"
    place = found[0].place if found[0].line else found[0].place.replace("The kernel", "the kernel")
    return f"{module.name} {loads} loaded: {place}"


def running(module: Module) -> str:
    """The running value of nested, in words."""
    if module.nested == "unknown":
        return f"{module.name} is not loaded" if not module.loaded else "unknown"
    return on_off(module.nested)
