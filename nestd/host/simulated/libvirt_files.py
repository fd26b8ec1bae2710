# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of libvirt's packages on a simulated host, as after installation."""

from __future__ import annotations

from collections.abc import Iterator

from nestd.formats.simulation import Simulation
from nestd.host.libvirt.daemons import (
    LOG_DIRECTORY,
    MONOLITHIC,
    PROGRAM_DIRECTORIES,
    config_file,
    installed,
)
from nestd.host.root import Root
from nestd.host.simulated.host import add_files

_MODULAR = (
    *("virtqemud", "virtnetworkd", "virtstoraged", "virtnodedevd", "virtsecretd"),
    *("virtinterfaced", "virtnwfilterd", "virtproxyd"),
)
_MONOLITHIC_KINDS = ("power",)  # RHEL 8
_CONFIG = """\
# Master {name} daemon configuration file
#

#################################################################
#
# Logging controls
#

# Logging level: 4 errors, 3 warnings, 2 information, 1 debug
# basically 1 will log everything possible
#
# WARNING: USE OF THIS IS STRONGLY DISCOURAGED.
#log_level = 3

# Logging filters:
# A filter allows to select a different logging level for a given category
# of logs. The format for a filter is:
#    level:match
# Multiple filters can be defined in a single @log_filters, they just need
# to be separated by spaces.
#log_filters="1:qemu 1:libvirt 4:object 4:json 4:event 1:util"

# Logging outputs:
# An output is one of the places to save logging information
# e.g. to log all warnings and errors to syslog under the {name} ident:
#log_outputs="3:syslog:{name}"
"""
_UNREADABLE = "\nlog_filters = 1:qemu 3:remote\n"


def install(root: Root, kind: str) -> None:
    """Install the daemons of a host of this KIND, unless ROOT already has libvirt files."""
    if not installed(root):
        for name in daemons_of(kind):
            program = root.at(f"{PROGRAM_DIRECTORIES[0]}/{name}")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(b"")
            program.chmod(0o755)
        add_files(root, {path: _CONFIG.format(name=name).encode() for name, path in _files(kind)})
    root.at("/run/libvirt").mkdir(parents=True, exist_ok=True)
    root.at(LOG_DIRECTORY).mkdir(parents=True, exist_ok=True)


def spoil(root: Root, simulation: Simulation) -> None:
    """Apply the situations' configuration changes; a file that is not the stock one is kept."""
    if "libvirt-unreadable" not in simulation:
        return
    name, path = next(_files(simulation.kind))
    stock = _CONFIG.format(name=name)
    file = root.at(path)
    if file.is_file() and file.read_text("utf-8", "replace") == stock:
        file.write_text(stock + _UNREADABLE)


def daemons_of(kind: str) -> tuple[str, ...]:
    """The daemons of this kind of host; the first one runs machines."""
    return (MONOLITHIC,) if kind in _MONOLITHIC_KINDS else _MODULAR


def _files(kind: str) -> Iterator[tuple[str, str]]:
    return ((name, config_file(name)) for name in daemons_of(kind))
