# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether VirtualBox is here, which wants the processor's virtualization for itself."""

from __future__ import annotations

import os

from nestd.host.root import Root

# Its loaded driver; its own package's settings; where distributions put it.
_SIGNS = (
    "/sys/module/vboxdrv",
    "/etc/vbox/vbox.cfg",
    "/opt/VirtualBox",
    "/usr/lib/virtualbox",
    "/usr/lib64/virtualbox",
)


def sign_of_virtualbox(root: Root) -> str:
    """The path that shows that VirtualBox is installed or loaded, "" if none does."""
    return next((path for path in _SIGNS if os.path.exists(root.at(path))), "")
