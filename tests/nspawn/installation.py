# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installing and removing nestd's packages in a root, and the files that are there before."""

from __future__ import annotations

import os
from typing import Callable

import container_image

KINDS = ("rpm", "deb")
KVM_CONF = "# Mine.\noptions kvm ignore_msrs=1\r\n"
LIBVIRTD_CONF = '#log_filters="1:qemu"\nlog_level = 3\n'
FILES = {
    "etc/modprobe.d/kvm.conf": KVM_CONF,
    "etc/libvirt/libvirtd.conf": LIBVIRTD_CONF,
    # A fake file of the module that is loaded according to the fake /sys/module.
    f"usr/lib/modules/{os.uname().release}/modules.dep": "kernel/arch/x86/kvm/kvm-intel.ko:\n",
    "etc/polkit-1/rules.d/50-nestd.rules": """\
polkit.addRule(function(action, subject) {
    if (action.id == "org.nestd1.manage" && subject.user == "admin")
        return polkit.Result.YES;
});
""",
}
# Named as in apt's cache: there is no network.
APT_INSTALL = "apt-get install --yes --quiet --no-install-recommends"

_DEB_OF_LIBVIRT = """
mkdir -p /tmp/libvirt/DEBIAN /tmp/libvirt/etc/libvirt
printf 'Package: libvirt\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' \\
    > /tmp/libvirt/DEBIAN/control
echo > /tmp/libvirt/etc/libvirt/libvirtd.conf
dpkg-deb --build /tmp/libvirt /tmp/libvirt.deb
dpkg --install /tmp/libvirt.deb
"""
_RPM_OF_LIBVIRT = """
cat > /tmp/libvirt.spec <<'END'
Name: libvirt
Version: 1
Release: 1
Summary: x
License: x
BuildArch: noarch
%description
%install
mkdir -p %{buildroot}/etc/libvirt
echo > %{buildroot}/etc/libvirt/libvirtd.conf
%files
/etc/libvirt
END
rpmbuild -bb --define '_topdir /tmp' /tmp/libvirt.spec
rpm --install --nodeps /tmp/RPMS/noarch/libvirt-1-1.noarch.rpm
"""


def install(kind: str, run: Callable[..., object]) -> None:
    """Installs nestd and nestctl from /packages with the package manager for that kind."""
    if kind == "deb":
        run("sh", "-c", f"{APT_INSTALL} /packages/nest*.deb")
        return
    # Debian's rpm does not know the installed packages, so it cannot check dependencies.
    run(*APT_INSTALL.split(), *container_image.DEPENDENCIES)
    run("sh", "-c", "rpm --install --nodeps /packages/nest*.noarch.rpm")
    # As in Fedora and RHEL.
    run("systemctl", "--no-reload", "enable", "dbus-broker.service")


def install_for_rhel(run: Callable[..., object]) -> None:
    """Installs nestd and nestctl in a root without dbus-next."""
    names = [name for name in container_image.DEPENDENCIES if name != "python3-dbus-next"]
    run(*APT_INSTALL.split(), *names)
    run("sh", "-c", "rpm --install --nodeps /packages-for-rhel/nest*.noarch.rpm")
    run("systemctl", "--no-reload", "enable", "dbus-broker.service")


def upgrade(kind: str, run: Callable[..., object]) -> None:
    """Replaces the installed packages by the same ones, as an upgrade does."""
    if kind == "deb":
        run("sh", "-c", "dpkg --install /packages/nest*.deb")
    else:
        run("sh", "-c", "rpm --upgrade --force --nodeps /packages/nest*.noarch.rpm")


def install_libvirt(kind: str, run: Callable[..., object]) -> None:
    """Installs a package that contains only the directory of libvirt's configuration."""
    run("sh", "-euc", _DEB_OF_LIBVIRT if kind == "deb" else _RPM_OF_LIBVIRT)


def remove(kind: str, run: Callable[..., object]) -> None:
    """Removes both, and nestd's settings if the package manager supports that."""
    if kind == "deb":
        run("dpkg", "--purge", "nestctl", "nestd")
    else:
        run("rpm", "--erase", "--nodeps", "nestctl", "nestd")
