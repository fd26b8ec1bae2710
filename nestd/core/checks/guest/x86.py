# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guide, 8: whether a guest on Intel or AMD gets vmx or svm.

Observed with libvirt 9.0 and QEMU 7.2 on kvm_amd: with KVM, QEMU removes svm from every named model
(kvm_default_props in target/i386/kvm/kvm-cpu.c) although libvirt's CPU map has it in EPYC, Opteron
and others, and libvirt does not request features that it expects in the model. So neither these
models nor host-model, which expands to one, provide it (kubevirt/kubevirt#10508). An explicitly
named feature works. No Intel model has vmx; libvirt's host-model adds it if KVM nests.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from nestd.core.checks.finding import Finding, fail, passed, warn
from nestd.core.checks.guest.guest import FEATURES, Guest, add_to, add_to_domain, replace
from nestd.core.checks.guest.machine import runs_here
from nestd.core.model import Vendor
from nestd.formats.libvirt_xml.domain_xml import Cpu
from nestd.formats.printable import quoted
from nestd.formats.vmm_arguments import QemuArguments, read_qemu

_VENDORS = {"Intel": Vendor.INTEL, "AMD": Vendor.AMD, "Hygon": Vendor.AMD}
_PAGING = {Vendor.INTEL: "vmx-ept", Vendor.AMD: "npt"}
_GIVEN = ("require", "force", "optional")
_WITHHELD = ("disable", "forbid")
_WHOLE = ("host-passthrough", "maximum")
_CUSTOM = ("", "custom")
_HYPERVISOR = "hypervisor"
PASSTHROUGH = "<cpu mode='host-passthrough'/>"


def cpu(guest: Guest) -> Finding | None:
    """Whether the guest's processor has vmx or svm."""
    feature = _feature(guest)
    if feature is None:
        return None
    given = guest.domain.cpu
    invalid = None if given is None else _invalid(guest, given, feature)
    if invalid is not None:
        return invalid
    arguments = read_qemu(guest.domain.qemu_arguments)
    if arguments.cpus:
        return _by_arguments(guest, arguments, feature)
    if given is None:
        return fail(
            "cpu",
            f"The XML has no <cpu>: the guest gets QEMU's plain default processor, without"
            f" {feature}.",
            add_to_domain(guest, PASSTHROUGH),
        )
    return _named(guest, given, feature) or _by_mode(guest, given, feature)


def hypervisor(guest: Guest) -> Finding | None:
    """Whether the guest can detect a hypervisor."""
    given = guest.domain.cpu
    if _feature(guest) is None or given is None:
        return None
    if not set(given.policies(_HYPERVISOR)) & set(_WITHHELD):
        return None
    return warn(
        "hypervisor-feature",
        "The guest believes that it runs on bare metal (the feature hypervisor is disabled): it"
        " can nest, but uses none of what makes a guest fast, and its own tools do not warn about"
        f" a third level.{_windows(guest)}",
        f"With {guest.edit}, remove from <cpu> the line with name='{_HYPERVISOR}'.",
    )


def _windows(guest: Guest) -> str:
    if not guest.domain.hyperv:
        return ""
    return (
        " Windows then does not look for the <hyperv> features, and a Windows that itself runs"
        " Hyper-V (WSL 2, virtualization-based security) may not start."
    )


def kvm_hidden(guest: Guest) -> Finding | None:
    """Whether the guest can detect that the hypervisor is KVM."""
    if _feature(guest) is None or guest.domain.kvm_hidden != "on":
        return None
    return warn(
        "kvm-hidden",
        "KVM is hidden from the guest: it can nest, but without KVM's clock and the other features"
        " that make a guest fast.",
        replace(guest, "<hidden state='on'/> in <features>", "<hidden state='off'/>"),
    )


def paging(guest: Guest) -> Finding | None:
    """Whether the guest's own guests get nested paging."""
    given = guest.domain.cpu
    if _feature(guest) is None or given is None:
        return None
    name = _PAGING[guest.situation.vendor]
    if not set(given.policies(name)) & set(_WITHHELD):
        return None
    return warn(
        "nested-paging",
        f"The guest gets no {name}: its own virtual machines will be very slow.",
        f"With {guest.edit}, remove from <cpu> the line with name='{name}'.",
    )


def _feature(guest: Guest) -> str | None:
    return FEATURES.get(guest.situation.vendor) if runs_here(guest) else None


def _require(feature: str) -> str:
    return f"<feature policy='require' name='{feature}'/>"


def _invalid(guest: Guest, given: Cpu, feature: str) -> Finding | None:
    """Whether libvirt would refuse the <cpu> element."""
    return _invalid_model(guest, given) or _invalid_features(guest, given, feature)


def _invalid_model(guest: Guest, given: Cpu) -> Finding | None:
    vendor = guest.situation.vendor
    if given.mode not in (*_CUSTOM, *_WHOLE, "host-model"):
        return fail(
            "cpu",
            f"libvirt knows no CPU mode {quoted(given.mode)}.",
            replace(guest, "<cpu>", whole(given)),
        )
    if given.mode in _CUSTOM and not given.model and given.features:
        return fail(
            "cpu",
            "libvirt refuses this <cpu>: it lists features without a processor model.",
            replace(guest, "<cpu>", whole(given)),
        )
    if given.mode in _CUSTOM and given.vendor and _VENDORS.get(given.vendor) is not vendor:
        return fail(
            "cpu",
            f"The guest asks for a processor from {quoted(given.vendor)}, and this host's is from"
            " another vendor: libvirt does not start the guest.",
            replace(guest, "<cpu>", whole(given)),
        )
    return None


def _invalid_features(guest: Guest, given: Cpu, feature: str) -> Finding | None:
    policies = given.policies(feature)
    if len(policies) > 1 or not set(policies) <= {*_GIVEN, *_WITHHELD}:
        return fail(
            "cpu",
            f"libvirt refuses what <cpu> says about {feature}: it is named twice, or with a policy"
            " that does not exist.",
            replace(guest, f"all lines with name='{feature}' in <cpu>", _require(feature)),
        )
    return _other_vendors_feature(guest, given, feature)


def _other_vendors_feature(guest: Guest, given: Cpu, feature: str) -> Finding | None:
    """Whether the guest requires the feature of the other vendor's processors."""
    other = next(name for name in FEATURES.values() if name != feature)
    if not set(given.policies(other)) & {"require", "force"}:
        return None
    return fail(
        "cpu",
        f"The guest asks for {other}, which this host's processor does not have: it has {feature}.",
        # The model is most likely the other vendor's too, and would not start on this host.
        replace(guest, "<cpu>", whole(given))
        if given.model
        else replace(guest, f"the line with name='{other}' in <cpu>", _require(feature)),
    )


def whole(given: Cpu) -> str:
    """A host-passthrough <cpu> with all other content of GIVEN.

    Required features are dropped: host-passthrough has all that exist, and libvirt refuses those
    that this host's processor lacks.
    """
    kept = [
        f"<feature policy='{each.policy}' name='{each.name}'/>"
        for each in given.features
        if each.policy in _WITHHELD and each.name not in FEATURES.values() and _plain(each.name)
    ]
    if not given.rest and not kept:
        return PASSTHROUGH
    lines = "".join(f"\n  {line}" for line in [*given.rest, *kept])
    return f"<cpu mode='host-passthrough'>{lines}\n</cpu>"


def _plain(name: str) -> bool:
    return bool(name) and all(char.isalnum() or char in "-_." for char in name)


def _by_arguments(guest: Guest, arguments: QemuArguments, feature: str) -> Finding:
    """The result of -cpu in <qemu:commandline>, which follows libvirt's own: QEMU uses the last."""
    said = arguments.feature(feature)
    where = "the -cpu in <qemu:commandline>, which decides,"
    if said == "on" or (not said and arguments.model in ("host", "max")):
        return passed("cpu", f"The guest gets {feature} from {where} {arguments.model}.")
    what = f"denies it {feature}" if said else f"is {arguments.model or 'empty'}, without {feature}"
    given = guest.domain.qemu_arguments
    behind = _last_cpu(given) + 1
    value = given[behind] if behind < len(given) and given[behind] else "host"
    words = [word for word in value.split(",") if word.lstrip("+-").split("=")[0] != feature]
    return fail(
        "cpu",
        f"The guest's processor: {where} {what}.",
        replace(
            guest,
            "the last argument after -cpu in <qemu:commandline>",
            f"<qemu:arg value={quoteattr(','.join([*words, f'{feature}=on']))}/>",
        ),
    )


def _last_cpu(arguments: Sequence[str]) -> int:
    return max(index for index, each in enumerate(arguments) if each in ("-cpu", "--cpu"))


def _named(guest: Guest, given: Cpu, feature: str) -> Finding | None:
    """The result of an explicit <feature> line for the feature, which decides in every mode."""
    [policy] = given.policies(feature) or [""]
    if policy in _GIVEN:
        return passed("cpu", f"The guest asks for {feature} (policy {policy}).")
    if policy in _WITHHELD:
        return fail(
            "cpu",
            f"The guest is denied {feature} (policy {policy}).",
            replace(guest, f"the line with name='{feature}' in <cpu>", _require(feature)),
        )
    return None


def _by_mode(guest: Guest, given: Cpu, feature: str) -> Finding:
    """The result of the CPU mode alone."""
    if given.mode in _WHOLE:
        return passed("cpu", f"The guest gets the host's processor with {feature} ({given.mode}).")
    like_host = given.mode == "host-model" or (given.match == "minimum" and given.model)
    if like_host and guest.situation.vendor is Vendor.INTEL:
        what = "host-model" if given.mode == "host-model" else "match minimum"
        return passed("cpu", f"libvirt adds {feature} to the guest's processor ({what}).")
    if given.mode in _CUSTOM and not given.model:
        return fail(
            "cpu",
            "The XML names no processor model and no mode: the guest gets QEMU's plain default"
            f" processor, without {feature}.",
            replace(guest, "the <cpu> tag", "<cpu mode='host-passthrough'>")
            if not given.empty
            else replace(guest, "<cpu>", PASSTHROUGH),
        )
    name = "host-model" if given.mode == "host-model" else quoted(given.model)
    return fail(
        "cpu",
        f"The guest's processor, {name}, has no {feature}: a named model has it only where the XML"
        " asks for it.",
        replace(guest, "<cpu>", f"<cpu mode='{given.mode}'>\n  {_require(feature)}\n</cpu>")
        if given.empty
        else add_to(guest, "cpu", _require(feature)),
    )
