# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes writable parameters of a loaded module without a reload; kvm_hv's "nested" is one."""

from __future__ import annotations

from collections.abc import Mapping

from nestd.core.errors import NotRestored, RolledBack, system_reason
from nestd.core.modules.values import differing
from nestd.core.reloads.roll_back import describe_file
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.editing.replacement import NotUndone, Replacement
from nestd.host.kernel.interface import Kernel


def set_in_place(
    kernel: Kernel,
    module: str,
    wanted: Mapping[str, str],
    types: Mapping[str, ParameterType],
    replacement: Replacement | None,
) -> None:
    """Write WANTED to the running MODULE, read it back, then write kvm.conf.

    The kernel comes first, since it may refuse. Raises RolledBack with its reason, or OSError for
    the file, if module and file were read back unchanged; else NotRestored, whose text says what
    is in effect. Blocks on disk I/O.
    """
    before = kernel.read_module(module).parameters
    try:
        _write(kernel, module, wanted, types)
        if replacement is not None:
            replacement.commit()
            replacement.discard()
    except (RolledBack, OSError) as error:
        # If the module is gone, there is nothing to restore.
        old = {name: before[name] for name in wanted.keys() & before.keys()}
        refused = _write_back(kernel, module, old)
        left = differing(old, kernel.read_module(module).parameters, types)
        is_undone = not isinstance(error, NotUndone)
        if replacement is not None and is_undone:
            replacement.discard()
        if left or not is_undone:
            said = system_reason(error) if isinstance(error, OSError) else str(error).rstrip(".")
            standing = _standing(kernel, module, left, replacement, [said, *refused])
            raise NotRestored(standing) from error
        raise


def _write(
    kernel: Kernel,
    module: str,
    wanted: Mapping[str, str],
    types: Mapping[str, ParameterType],
) -> None:
    try:
        for name, value in wanted.items():
            kernel.write_parameter(module, name, value)
    except OSError as error:
        raise RolledBack(f"{module} refuses the value: {error.strerror}.") from error
    wrong = differing(wanted, kernel.read_module(module).parameters, types)
    if wrong:
        raise RolledBack(f"{module} did not accept the value of {', '.join(wrong)}.")


def _write_back(kernel: Kernel, module: str, old: Mapping[str, str]) -> list[str]:
    """Write back as many old values as possible; returns the kernel's errors for the others."""
    refused = []
    for name, value in old.items():
        try:
            kernel.write_parameter(module, name, value)
        except OSError as error:
            refused.append(f"{name} cannot be set back: {error.strerror}")
    return refused


def _standing(
    kernel: Kernel,
    module: str,
    left: tuple[str, ...],
    replacement: Replacement | None,
    reasons: list[str],
) -> str:
    running = kernel.read_module(module).parameters
    values = " ".join(f"{name}={running.get(name, '?')}" for name in left)
    now = f"{module} runs with {values}" if left else f"{module} runs as before"
    return (
        f"The change failed and could not be undone ({'; '.join(reasons)}): now {now}, and"
        f" {describe_file(replacement)}."
    )
