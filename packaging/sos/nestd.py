# SPDX-License-Identifier: LGPL-2.1-or-later
"""sos' plugin for nestd. It is to be sent to sos, and is tested here with Debian's."""

from sos.report.plugins import IndependentPlugin, Plugin

DAEMONS = ("interface", "lock", "log", "network", "nodedev", "nwfilter", "proxy", "qemu")
DAEMONS += ("secret", "storage")


class Nestd(Plugin, IndependentPlugin):
    """What nestd knows, and the log settings that sos' plugin libvirt leaves out."""

    short_desc = "Nested virtualization and libvirt's log settings"

    plugin_name = "nestd"
    profiles = ("virt",)
    packages = ("nestd",)
    services = ("nestd",)

    def setup(self):
        """Nothing here starts nestd's debug sessions, loads a module or asks for a password."""
        self.add_copy_spec(["/etc/nestd", "/etc/modprobe.d/kvm.conf", "/var/lib/nestd"])
        # The modular daemons: virtqemud.conf and so on.
        self.add_copy_spec([f"/etc/libvirt/virt{name}d.conf" for name in DAEMONS])
        self.add_cmd_output(["nestctl describe", "nestctl validate --json", "nestctl jobs --json"])
