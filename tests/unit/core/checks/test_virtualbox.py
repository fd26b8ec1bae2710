# SPDX-License-Identifier: LGPL-2.1-or-later
"""VirtualBox on a KVM host: the findings of Manager.Validate."""

from __future__ import annotations

from pathlib import Path

import pytest
from situations import X86_RELEASE, Files, findings, make_situation
from validated_host import BUILTIN_INTEL

VBOX_CFG = "INSTALL_DIR='/opt/VirtualBox'\nINSTALL_VER='{}'\nINSTALL_REV='1'\n"
DPKG = "Package: virtualbox-7.2\nStatus: {}\nSection: misc\nVersion: {}-170001~Debian~trixie\n"


@pytest.mark.parametrize(
    ("files", "value", "words"),
    [
        ({"/sys/module/vboxdrv/version": "7.0.26 r168464\n"}, "N", ("pass", "7.0.26")),
        ({"/sys/module/vboxdrv/version": "7.2.10 r170001\n"}, "Y", ("pass", "7.2.10")),
        ({"/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.12")}, "N", ("warn", "SVME_NOT_ENABLED")),
        ({"/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.9")}, "Y", ("warn", "IN_VMX_ROOT_MODE")),
        (
            {"/opt/VirtualBox/x": "", "/usr/src/vboxhost-7.10.0/Makefile": ""},
            "N",
            ("warn", "7.10.0", "nestctl set kvm enable_virt_at_load=1"),
        ),
        (
            {
                "/usr/lib/virtualbox/x": "",
                "/var/lib/dpkg/status": DPKG.format("install ok installed", "7.2.10"),
            },
            "Y",
            ("pass", "7.2.10"),
        ),
        (
            {
                "/usr/lib/virtualbox/x": "",
                "/var/lib/dpkg/status": DPKG.format("deinstall ok config-files", "7.2.10"),
            },
            "Y",
            ("warn", "version decides", "nestctl unload kvm"),
        ),
        (
            {
                "/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.12"),
                "/etc/modprobe.d/virtualbox.conf": "# why\noptions kvm enable_virt_at_load=0\n",
            },
            "N",
            ("warn", "enable_virt_at_load=1 in /etc/modprobe.d/virtualbox.conf:2"),
        ),
        (
            {
                "/etc/vbox/vbox.cfg": VBOX_CFG.format("7.2.12"),
                "/proc/cmdline": "quiet kvm.enable_virt_at_load=0\n",
                "/usr/sbin/grubby": "",
            },
            "N",
            (
                "warn",
                '--remove-args="kvm.enable_virt_at_load=0" --args="kvm.enable_virt_at_load=1"',
            ),
        ),
        (
            {
                **BUILTIN_INTEL,
                "/sys/module/kvm/initstate": None,
                "/sys/module/kvm/refcnt": None,
                f"/lib/modules/{X86_RELEASE}/modules.builtin": "a/kvm.ko\na/kvm-intel.ko\n",
                "/etc/vbox/vbox.cfg": VBOX_CFG.format("7.1.4"),
            },
            "Y",
            ("warn", "add kvm.enable_virt_at_load=0 to the kernel command line"),
        ),
    ],
)
def test_virtualbox_by_its_version_in_both_directions(
    files: Files, value: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    given = {**files, "/sys/module/kvm/parameters/enable_virt_at_load": f"{value}\n"}
    found = findings(make_situation(tmp_path, "intel", given))["virtualbox"]
    text = f"{found.verdict.value} {found.summary} {found.hint}"
    assert [word for word in words if word not in text] == [], text
    if "Set it" not in text:
        assert "nestctl set" not in text
