# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that was read of the host at one moment, from which everything else is derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from nestd.core.modules.vendors import nested_holders
from nestd.formats.modprobe.edit import configured
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.formats.modprobe.next_load import ConfigFile, NextLoad, next_load
from nestd.host.kernel.sysfs import ModuleFacts
from nestd.host.modprobe.kvm_conf import OwnFile

# The same files are asked about many times for one look at the host.
_next_load = lru_cache(maxsize=32)(next_load)
_configured = lru_cache(maxsize=32)(configured)


@dataclass(frozen=True)
class HostFacts:
    """The host at one moment; modules by name, types by module and parameter."""

    machine: str
    release: str
    kmod: int
    modules: Mapping[str, ModuleFacts]
    types: Mapping[str, Mapping[str, ParameterType]]
    own: OwnFile
    files: tuple[ConfigFile, ...]
    cmdline: bytes
    problems: tuple[str, ...]
    obstacles: tuple[str, ...]  # those of the problems in which a load would hang or go astray
    modules_disabled: bool

    def next_load(self, module: str) -> NextLoad:
        """What the next load of MODULE passes."""
        return _next_load(self.files, self.cmdline, module, kmod=self.kmod)

    def configured(self, module: str) -> Mapping[str, str | None]:
        """What kvm.conf asks for: the last assignment of each parameter (None: without "=")."""
        return MappingProxyType(_configured(self.own.data or b"", module, kmod=self.kmod))

    def with_own(self, data: bytes) -> HostFacts:
        """The same host with DATA in kvm.conf."""
        name = _basename(self.own.path)
        others = [file for file in self.files if _basename(file.path) != name]
        files = [*others, ConfigFile(self.own.path, data)]
        # kmod reads all files in one order, that of their names' bytes (libkmod-config.c).
        files.sort(key=lambda file: _basename(file.path).encode("utf-8", "surrogateescape"))
        own = replace(self.own, data=data, base=data)
        return replace(self, own=own, files=tuple(files))

    def types_of(self, module: str) -> Mapping[str, ParameterType]:
        """The parameters' types: what the module's file declares, and what is known of "nested"."""
        declared = dict(self.types.get(module, {}))
        holders = nested_holders(self.machine)
        if module in holders:
            declared.setdefault("nested", holders[module])
        return declared


def _basename(path: str) -> str:
    return path.rpartition("/")[2]
