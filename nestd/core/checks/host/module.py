# SPDX-License-Identifier: LGPL-2.1-or-later
"""The module that has the "nested" parameter: present, loaded, loadable."""

from __future__ import annotations

from nestd.core.checks.elsewhere import elsewhere
from nestd.core.checks.finding import Finding, fail, note, passed, warn
from nestd.core.checks.situation import Situation
from nestd.core.model import Answer, Module
from nestd.host.kernel.sysfs import Availability
from nestd.host.machine.initramfs import Initramfs


def module(situation: Situation) -> Finding | None:
    """Whether the module exists and runs."""
    found = situation.module
    if found is None:
        return None
    if found.availability is Availability.MISSING:
        return fail(
            "module",
            f"This kernel, {situation.facts.release}, has no module {found.name}.",
            "Boot the distribution's standard kernel, with the package of its modules installed.",
        )
    if situation.builtin:
        return passed("module", f"{found.name} is part of this kernel and runs.")
    if not found.loaded:
        return fail(
            "module",
            f"{found.name} is not loaded: this host can run no KVM virtual machine now.",
            f"Load it with: modprobe {found.name}. If that fails, journalctl -k -g kvm says why.",
        )
    return passed("module", f"{found.name} is loaded.")


def builtin(situation: Situation) -> Finding | None:
    """Whether it is built in: its parameters then come from the kernel command line alone."""
    found = situation.module
    if found is None or not situation.builtin:
        return None
    return note(
        "builtin",
        f"{found.name} is built into the kernel: what modprobe.d says about it has no effect, and"
        " it cannot be reloaded.",
        f"To change it, boot with {found.name}.nested=1 (on) or {found.name}.nested=0 (off) on the"
        f" kernel command line.{_how(situation, found)}",
    )


def _how(situation: Situation, module: Module) -> str:
    other = Answer.NO if module.nested is Answer.YES else Answer.YES
    if not situation.facts.boot_setup.tool.value:
        return ""
    word = "off" if other is Answer.NO else "on"
    return f" To switch it {word}: {elsewhere(situation, module, other)}"


def loading(situation: Situation) -> Finding | None:
    """Whether the kernel allows modules to be loaded and unloaded at all."""
    if not situation.facts.modules_disabled:
        return None
    return warn(
        "module-loading",
        "kernel.modules_disabled is 1: no module can be loaded or unloaded until the next boot.",
        "Changes take effect at the next boot: request them with nestctl nested on --at-boot.",
    )


def modprobe(situation: Situation) -> Finding | None:
    """Whether modprobe, which loads modules, can be run."""
    facts = situation.facts
    if not facts.kmod_problem or situation.builtin:
        return None
    return warn(
        "modprobe",
        f"modprobe could not be run when nestd started: {facts.kmod_problem}. No module is loaded"
        f" or unloaded without it, and it is assumed to read the files that kmod {facts.kmod}"
        " reads.",
        "Make modprobe --version work for root and for nestd.service, then run: systemctl restart"
        " nestd",
    )


def _unseen(image: Initramfs) -> str:
    """The images that were not examined, as a sentence that follows another; "" for none."""
    if not image.unseen:
        return ""
    return (
        f" Not examined: {', '.join(image.unseen)} (an unmounted automount, no permission to read"
        " it, or an image whose name does not show its kernel)."
    )


def initramfs(situation: Situation) -> Finding | None:
    """Whether the initramfs has a copy of the module, which is loaded with the options in it."""
    found = situation.module
    if found is None or situation.builtin:
        return None
    image = situation.surroundings.initramfs
    if image.holds is None:
        return note(
            "initramfs",
            f"Whether {image.path} holds a copy of {found.name} is not known: neither lsinitrd nor"
            f" lsinitramfs can list it here.{_unseen(image)}",
            "If it does, rebuild the image after each change.",
        )
    if not image.holds and image.unseen:
        known = f"{image.path} holds no" if image.path else "What was seen of /boot holds no"
        return note(
            "initramfs",
            f"{known} copy of {found.name}, but not everything was examined.{_unseen(image)}",
            "If one does, rebuild it after each change.",
        )
    if not image.holds:
        where = f"{image.path} holds no" if image.path else "No initramfs in /boot holds a"
        return passed("initramfs", f"{where} copy of {found.name}.")
    return warn(
        "initramfs",
        f"{image.path} holds a copy of {found.name}: at boot it is loaded from there, with the"
        " options that were copied there when the image was built.",
        "Rebuild the image after each change: dracut -f (RHEL, Fedora, SUSE), update-initramfs -u"
        " (Debian, Ubuntu) or nixos-rebuild boot (NixOS).",
    )
