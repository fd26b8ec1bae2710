# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether this host is fit for nested virtualization: all checks of a host, in display order."""

from __future__ import annotations

from typing import Callable

from nestd.core.checks.finding import Finding
from nestd.core.checks.host import arm, module, nested, processor, support
from nestd.core.checks.host.device import device
from nestd.core.checks.host.host_virtualization import host_virtualization
from nestd.core.checks.host.libvirt import libvirt
from nestd.core.checks.host.virtualbox import virtualbox
from nestd.core.checks.modprobe import configuration, loading, options
from nestd.core.checks.situation import Situation

CHECKS: tuple[Callable[[Situation], Finding | None], ...] = (
    processor.architecture,
    processor.cpu,
    arm.cpu,
    arm.kernel,
    host_virtualization,
    arm.kvm,
    module.module,
    module.builtin,
    module.loading,
    module.modprobe,
    nested.nested,
    arm.nested,
    arm.mode,
    nested.next_load,
    nested.overridden,
    loading.autoload,
    loading.mistyped_blacklist,
    loading.backend,
    module.initramfs,
    device,
    configuration.files,
    configuration.lines,
    configuration.comments,
    configuration.wrong_module,
    arm.wrong_place,
    options.parameters,
    options.values,
    options.almost_modules,
    options.other_vendor,
    options.ignored_files,
    support.s390_huge_pages,
    support.amd_migration,
    support.power_xive,
    support.power_preview,
    libvirt,
    virtualbox,
    support.preview,
    support.hypervisors,
    support.system,
)


def validate(situation: Situation) -> tuple[Finding, ...]:
    """The findings of all checks that apply to this host."""
    found = (check(situation) for check in CHECKS)
    return tuple(finding for finding in found if finding is not None)
