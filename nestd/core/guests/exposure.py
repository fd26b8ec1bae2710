# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a running guest's processor has a hypervisor's feature: vmx, svm, sief2 or nested-hv.

Observed with libvirt 9.0 and QEMU 7.2: libvirt records in the live XML what the guest got, as a
policy of the feature, except for host-passthrough, which gets the feature if the host nests. QEMU's
-cpu shows it if the model is "host" or the feature is named; a named model alone does not. The
host's present setting was in effect at the machine's start unless the module was loaded later than
the machine's process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nestd.core.guests.guest import Exposure
from nestd.core.model import Answer, Vendor
from nestd.formats.libvirt_xml.domain_xml import Domain
from nestd.formats.vmm_arguments import QemuArguments, cloud_hypervisor_nested

FEATURES: Mapping[Vendor, str] = MappingProxyType(
    {Vendor.INTEL: "vmx", Vendor.AMD: "svm", Vendor.S390: "sief2"}
)
CLOUD_HYPERVISOR = "cloud-hypervisor"
_GIVEN = ("require", "force")
_WITHHELD = ("disable", "forbid")
_WHOLE_MODES = ("host-passthrough", "maximum")
_WHOLE_MODELS = ("host", "max")
# QEMU's Intel models with vmx in some version or machine type (pc_compat_2_1 in hw/i386/pc.c;
# Snowridge of QEMU 4.1).
_MAY_HAVE_VMX = ("coreduo", "core2duo", "Snowridge")
# Off in QEMU unless requested; QEMU does not start if KVM cannot provide them
# (hw/ppc/spapr_caps.c; hw/arm/virt.c since QEMU 10.1).
_CAPABILITIES = MappingProxyType(
    {
        "ppc64le": ("cap-nested-hv", "cap-nested-papr"),
        "ppc64": ("cap-nested-hv", "cap-nested-papr"),
        "aarch64": ("virtualization",),
    }
)


@dataclass(frozen=True)
class HostAtStart:
    """The host's state when a machine started.

    nested is the running value; module is "" if no module is known to decide; reloaded, whether
    the module was loaded after the machine's process started, is None if unknown.
    """

    machine: str
    vendor: Vendor
    module: str
    nested: Answer
    reloaded: bool | None


@dataclass(frozen=True)
class CommandLine:
    """A command line; qemu is None if the monitor is not QEMU or the arguments are unreadable."""

    words: tuple[str, ...]
    qemu: QemuArguments | None


def exposure(
    host: HostAtStart, vmm: str, arguments: CommandLine, domain: Domain | None
) -> Exposure:
    """Decide for a machine of the monitor VMM; DOMAIN is libvirt's description, if readable."""
    if arguments.qemu is None and domain is None:
        return _other_monitor(host, vmm, arguments.words)
    if arguments.qemu is not None and not all(map(arguments.qemu.decides, _names(host))):
        return _unknown("QEMU's -global or -readconfig may say more than its -cpu and -machine")
    if host.machine in _CAPABILITIES:
        return _capability(host.machine, arguments.qemu, domain)
    feature = FEATURES.get(host.vendor)
    if feature is None:
        return _unknown("which module gives this machine its processor is not known")
    return (
        _by_domain(host, feature, arguments.qemu, domain)
        or _by_arguments(host, feature, arguments.qemu, domain)
        or _unknown(f"its command line cannot be read, and its XML does not tell of {feature}")
    )


def _names(host: HostAtStart) -> tuple[str, ...]:
    feature = FEATURES.get(host.vendor)
    return _CAPABILITIES.get(host.machine) or ((feature,) if feature else ())


def _by_domain(
    host: HostAtStart, feature: str, qemu: QemuArguments | None, domain: Domain | None
) -> Exposure | None:
    if domain is None or domain.cpu is None or (qemu is not None and qemu.cpus > 1):
        return None  # the last -cpu decides, and libvirt did not write it
    policies = domain.cpu.policies(feature)
    policy = policies[-1] if policies else ""
    where = f"libvirt's live XML: {feature} {policy}"
    if policy in _WITHHELD:
        return Exposure(Answer.NO, where)
    if policy in _GIVEN and domain.cpu.check != "none":
        return Exposure(Answer.YES, where)
    if policy:
        return _by_host(host, where)
    if domain.cpu.mode in _WHOLE_MODES:
        return _by_host(host, f"libvirt's live XML: {domain.cpu.mode}")
    return None


def _by_arguments(
    host: HostAtStart, feature: str, qemu: QemuArguments | None, domain: Domain | None
) -> Exposure | None:
    if qemu is None:
        return None
    said = qemu.feature(feature)
    if said == "off":
        return Exposure(Answer.NO, f"QEMU's -cpu: {feature}=off")
    if said == "on":
        return _by_host(host, f"QEMU's -cpu: {feature}=on")
    if qemu.model in _WHOLE_MODELS:
        return _by_host(host, f"QEMU's -cpu: {qemu.model}")
    named = qemu.model.partition("-v")[0]
    if domain is not None and host.vendor is Vendor.INTEL and named not in ("", *_MAY_HAVE_VMX):
        # No other Intel model of QEMU has vmx, and libvirt requests none here.
        return Exposure(Answer.NO, f"libvirt's live XML and QEMU's -cpu name no {feature}")
    if not qemu.model:
        return _unknown("QEMU's command line has no -cpu, and its default model does not tell")
    return _unknown(f"QEMU's -cpu {qemu.model} does not tell whether it has {feature}")


def _by_host(host: HostAtStart, by: str) -> Exposure:
    """The exposure of a feature that guests get if the host nests."""
    if not host.module:
        return _unknown(f"{by}, but which module gives this machine its processor is not known")
    if host.reloaded is None:
        return _unknown(f"{by}, but when the machine started is not known")
    if host.reloaded:
        return _unknown(f"{by}, but {host.module} was loaded after the machine started")
    if host.nested is Answer.YES:
        return Exposure(Answer.YES, f"{by}, and {host.module} has nested on")
    if host.nested is Answer.NO:
        return Exposure(Answer.NO, f"{by}, but {host.module} has nested off")
    return _unknown(f"{by}, but whether {host.module} has nested on is not known")


def _capability(machine: str, qemu: QemuArguments | None, domain: Domain | None) -> Exposure:
    names = _CAPABILITIES[machine]
    if qemu is not None:
        on = next((name for name in names if qemu.capability(name) == "on"), "")
        if on:
            return Exposure(Answer.YES, f"QEMU's -machine: {on}=on")
        return Exposure(Answer.NO, f"QEMU's -machine does not have {names[0]}=on")
    if domain is not None and domain.nested_hv:
        given = Answer.YES if domain.nested_hv == "on" else Answer.NO
        return Exposure(given, f"libvirt's live XML: nested-hv {domain.nested_hv}")
    return _unknown("its command line cannot be read")


def _other_monitor(host: HostAtStart, vmm: str, words: tuple[str, ...]) -> Exposure:
    if vmm == CLOUD_HYPERVISOR:
        said = cloud_hypervisor_nested(words)
        if said == "off":
            return Exposure(Answer.NO, "Cloud Hypervisor's --cpus: nested=off")
        if said == "on":
            return _by_host(host, "Cloud Hypervisor's --cpus: nested=on")
    if not words:
        return _unknown("its command line cannot be read")
    return _unknown(f"the command line of {vmm} does not tell")


def _unknown(by: str) -> Exposure:
    return Exposure(Answer.UNKNOWN, by)
