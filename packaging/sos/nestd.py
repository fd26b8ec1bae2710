# SPDX-License-Identifier: GPL-2.0-only
# This file is part of the sos project: https://github.com/sosreport/sos
#
# This copyrighted material is made available to anyone wishing to use,
# modify, copy, or redistribute it subject to the terms and conditions of
# version 2 of the GNU General Public License.
#
# See the LICENSE file in the source distribution for further information.

from sos.report.plugins import DebianPlugin, Plugin, RedHatPlugin, SoSPredicate, UbuntuPlugin


class Nestd(Plugin, RedHatPlugin, DebianPlugin, UbuntuPlugin):
    """Nested virtualization, and the logs of libvirt's modular daemons.

    What runs, what is configured and which file and line decides comes from
    nestd, which has to be running: a report does not start it.
    """

    short_desc = "Nested virtualization and libvirt logs (nestd)"

    plugin_name = "nestd"
    profiles = ("system", "virt")
    packages = ("nestd",)

    def setup(self):
        self.add_copy_spec("/etc/nestd/nestd.conf")
        # The plugin libvirt collects libvirtd.conf, but not the files of the
        # modular daemons that replaced libvirtd.
        self.add_copy_spec("/etc/libvirt/virt*d.conf")
        self.add_copy_spec("/var/log/libvirt/virt*d*.log")

        self.add_cmd_output(
            [
                "nestctl --no-ask-password describe",
                "nestctl --no-ask-password status",
                "nestctl --no-ask-password validate --all",
                "nestctl --no-ask-password guests",
                "nestctl --no-ask-password history",
                "nestctl --no-ask-password log show",
            ],
            pred=SoSPredicate(self, services=["nestd"]),
        )
        self.add_journal(units="nestd")

    def postproc(self):
        # Outputs and filters may contain any text: mask passwords in URLs.
        self.do_path_regex_sub(
            r"/etc/libvirt/virt.*d\.conf", r"(://[^/:@\s]*):[^@/\s]*@", r"\1:*****@"
        )


# vim: set et ts=4 sw=4 :
