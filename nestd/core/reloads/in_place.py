# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changing writable parameters of a loaded module, without a reload: kvm_hv's "nested" is one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from nestd.core.errors import RolledBack
from nestd.core.modules.values import differing
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.editing.replacement import Replacement
from nestd.host.kernel.interface import Kernel


def set_in_place(
    kernel: Kernel,
    module: str,
    wanted: Mapping[str, str],
    types: Mapping[str, ParameterType],
    replacement: Replacement | None,
) -> None:
    """Write WANTED to the running MODULE, read it back, then put kvm.conf's new bytes in place.

    The kernel comes first, since it is the one that may refuse. Raises RolledBack with its reason,
    or OSError for the file; either way module and file are as before.
    """
    before = kernel.read_module(module).parameters
    try:
        try:
            for name, value in wanted.items():
                kernel.write_parameter(module, name, value)
        except OSError as error:
            raise RolledBack(f"{module} refuses the value: {error.strerror}.") from error
        wrong = differing(wanted, kernel.read_module(module).parameters, types)
        if wrong:
            raise RolledBack(f"{module} did not take the value of {', '.join(wrong)}.")
        if replacement is not None:
            replacement.commit()
            replacement.discard()
    except (RolledBack, OSError):
        for name in wanted.keys() & before.keys():  # none where the module has gone
            with contextlib.suppress(OSError):
                kernel.write_parameter(module, name, before[name])
        if replacement is not None:
            replacement.discard()
        raise
