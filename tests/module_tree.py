# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trees of fake kernel modules that depmod, modprobe and modinfo accept as real ones.

A module here has no code: only a .modinfo section and its exported and needed symbols, from which
depmod derives the dependencies.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RELEASE = "6.1.0-test"


@dataclass(frozen=True)
class TreeModule:
    """A module: the modules whose symbols it uses, its parameters' types, its aliases."""

    needs: tuple[str, ...] = ()
    parameters: Mapping[str, str] | None = None  # to modinfo's words: "bool", "uint"
    aliases: tuple[str, ...] = ()
    softdep: str = ""  # as in MODULE_SOFTDEP("pre: x")


KVM_MODULES: Mapping[str, TreeModule] = {
    "irqbypass": TreeModule(),
    "ccp": TreeModule(parameters={"psp_timeout": "int"}),
    "kvm": TreeModule(
        needs=("irqbypass",),
        parameters={"halt_poll_ns": "uint", "ignore_msrs": "bool"},
        aliases=("devname:kvm", "char-major-10-232"),
    ),
    "kvm_intel": TreeModule(
        needs=("kvm", "irqbypass"),
        parameters={"nested": "bool", "ept": "bool"},
        aliases=("cpu:type:x86,ven*fam*mod*:feature:*0085*",),
    ),
    "kvm_amd": TreeModule(
        needs=("kvm", "ccp", "irqbypass"),
        parameters={"nested": "int", "npt": "bool"},
        aliases=("cpu:type:x86,ven*fam*mod*:feature:*00C2*",),
    ),
    "other": TreeModule(),
}


def write_modules(root: Path, modules: Mapping[str, TreeModule] = KVM_MODULES) -> None:
    """Write the modules below ROOT and let depmod index them."""
    directory = root / "lib/modules" / RELEASE
    (directory / "kernel").mkdir(parents=True, exist_ok=True)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (directory / name).touch()
    for name, module in modules.items():
        file = directory / "kernel" / f"{name.replace('_', '-')}.ko"
        file.write_bytes(_module_file(name, module))
    subprocess.run(["depmod", "-b", root, RELEASE], check=True, capture_output=True)


def would_load(root: Path, name: str, *options: str) -> list[str]:
    """The steps of `modprobe NAME` below ROOT, each a word and the module or command."""
    directories = ["-C", str(root / "etc/modprobe.d")]
    command = ["modprobe", *directories, "-d", str(root), "-S", RELEASE, "-n", "-v"]
    shown = subprocess.run(
        [*command, *options, "--", name],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    return [line.rstrip() for line in shown.stdout.splitlines()]


def module_file(modinfo: bytes, exports: bytes = b"", needs: tuple[str, ...] = ()) -> bytes:
    """A kernel module with only .modinfo and symbols, in the sections that depmod requires."""
    names = b"\0.modinfo\0.shstrtab\0.symtab\0.strtab\0__ksymtab_strings\0"
    strings = b"\0" + b"".join(_symbol(need) + b"\0" for need in needs)
    undefined = b"".join(
        struct.pack("<IBBHQQ", strings.index(b"\0" + _symbol(need) + b"\0") + 1, 0x10, 0, 0, 0, 0)
        for need in needs
    )
    sections = (
        (b".modinfo", modinfo, 1),
        (b".shstrtab", names, 3),
        (b".symtab", bytes(24) + undefined, 2),
        (b".strtab", strings, 3),
        (b"__ksymtab_strings", exports, 1),
    )
    body, headers = b"", [bytes(64)]
    for name, content, kind in sections:
        body += bytes(-len(body) % 8)
        place = (names.index(name + b"\0"), kind, 0, 0, 64 + len(body), len(content))
        table = (4, 1, 8, 24) if kind == 2 else (0, 0, 8, 0)
        headers.append(struct.pack("<IIQQQQIIQQ", *place, *table))
        body += content
    body += bytes(-len(body) % 8)
    identity = b"\x7fELF\2\1\1" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, 6, 2)
    return identity + header + body + b"".join(headers)


def _module_file(name: str, module: TreeModule) -> bytes:
    fields = [f"name={name}", "license=GPL", f"depends={','.join(module.needs)}"]
    fields += [f"alias={alias}" for alias in module.aliases]
    fields += [f"softdep={module.softdep}"] if module.softdep else []
    fields += [f"parmtype={key}:{kind}" for key, kind in (module.parameters or {}).items()]
    modinfo = b"".join(field.encode() + b"\0" for field in fields)
    return module_file(modinfo, _symbol(name) + b"\0", module.needs)


def _symbol(module: str) -> bytes:
    return f"symbol_of_{module}".encode()
