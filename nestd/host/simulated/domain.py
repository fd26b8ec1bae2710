# SPDX-License-Identifier: LGPL-2.1-or-later
"""The XML that libvirt writes for a simulated host's machine, and QEMU's command line."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from enum import Enum
from xml.sax.saxutils import escape

_UUIDS = uuid.UUID("6d9f0e0a-5d0c-4c43-9d8b-6a4b6f1c7f10")  # each name always gets the same UUID
_MEBIBYTES = 2048


class Nesting(Enum):
    """A machine's nesting; the values are the contents of its file."""

    NONE = ""
    EXPOSED = "exposed"
    GUEST = "nesting"


@dataclass(frozen=True)
class _Processor:
    """How an architecture's machines show whether a nested hypervisor can run."""

    arch: str
    machine: str
    model: str
    feature: str
    on: str  # QEMU's syntax
    off: str
    in_cpu: bool = True  # a feature of <cpu>, else of <features> or only in QEMU
    in_xml: bool = True  # libvirt's XML can express it
    emulator: str = "/usr/libexec/qemu-kvm"  # RHEL's


_PROCESSORS = {  # by the kind of host
    "intel": _Processor(
        "x86_64", "pc-q35-rhel9.4.0", "Skylake-Server-IBRS", "vmx", "vmx=on", "vmx=off"
    ),
    "amd": _Processor("x86_64", "pc-q35-rhel9.4.0", "EPYC-Rome", "svm", "svm=on", "svm=off"),
    "power": _Processor(
        *("ppc64le", "pseries-rhel8.6.0", "POWER9", "nested-hv"),
        *("cap-nested-hv=on", "cap-nested-hv=off"),
        in_cpu=False,
    ),
    "s390": _Processor(
        "s390x", "s390-ccw-virtio-rhel9.4.0", "gen15a-base", "sief2", "sief2=on", "sief2=off"
    ),
    "arm64": _Processor(
        *("aarch64", "virt-10.1", "host", "virtualization"),
        *("virtualization=on", "virtualization=off"),
        in_cpu=False,
        in_xml=False,
        emulator="/usr/bin/qemu-system-aarch64",
    ),
}


@dataclass(frozen=True)
class Domain:
    """A machine as a libvirt domain."""

    name: str
    processor: _Processor
    exposed: bool

    def definition(self) -> bytes:
        """The persistent definition, as in /etc/libvirt/qemu."""
        return f"{_WARNING}<domain type='kvm'{self._namespace}>\n{self._body()}</domain>\n".encode()

    def live_xml(self, pid: str) -> bytes:
        """The live state that libvirt keeps below /run (virDomainObjFormat)."""
        head = f"<domstatus state='running' reason='booted' pid='{pid}'>\n"
        body = f"  <domain type='kvm' id='1'{self._namespace}>\n{self._body()}  </domain>\n"
        return f"{_WARNING}{head}{body}</domstatus>\n".encode()

    def command_line(self) -> bytes:
        """QEMU's /proc/PID/cmdline."""
        guest = os.fsencode(self.name).replace(b",", b",,")  # QEMU's escaping in options
        words = [
            self.processor.emulator.encode(),
            b"-name",
            b"guest=" + guest + b",debug-threads=on",
        ]
        words += [word.encode() for word in self._options()]
        return b"".join(word + b"\0" for word in words)

    def log_line(self) -> bytes:
        """The command line in libvirt's log format."""
        return self.command_line().replace(b"\0", b" ").rstrip() + b"\n"

    def _options(self) -> tuple[str, ...]:
        processor = self.processor
        words = processor.on if self.exposed else processor.off
        machine = f"{processor.machine},accel=kvm"
        cpu = processor.model
        if processor.in_cpu:
            cpu += f",{words}"
        else:
            machine += f",{words}"
        memory = str(_MEBIBYTES)
        return ("-machine", machine, "-cpu", cpu, "-m", memory, "-uuid", self._uuid)

    @property
    def _uuid(self) -> str:
        return str(uuid.uuid5(_UUIDS, repr(os.fsencode(self.name))))

    @property
    def _namespace(self) -> str:
        return "" if self.processor.in_xml else f" xmlns:qemu='{_QEMU_NAMESPACE}'"

    def _body(self) -> str:
        processor = self.processor
        name = escape(os.fsencode(self.name).decode("utf-8", "replace"))
        features = arguments = ""
        cpu = _MODEL.format(model=processor.model, feature="")
        if not processor.in_xml:
            cpu = _PASSTHROUGH
            arguments = _ARGUMENTS.format(value=processor.on) if self.exposed else ""
        elif processor.in_cpu:
            policy = "require" if self.exposed else "disable"
            feature = f"    <feature policy='{policy}' name='{processor.feature}'/>\n"
            cpu = _MODEL.format(model=processor.model, feature=feature)
        else:
            state = "on" if self.exposed else "off"
            features = f"  <features>\n    <{processor.feature} state='{state}'/>\n  </features>\n"
        return _BODY.format(
            name=name,
            uuid=self._uuid,
            kib=_MEBIBYTES * 1024,
            arch=processor.arch,
            machine=processor.machine,
            features=features,
            cpu=cpu,
            emulator=processor.emulator,
            arguments=arguments,
        )


def describe(kind: str, name: str, nesting: Nesting) -> Domain:
    """The machine NAME on a host of this KIND."""
    return Domain(name, _PROCESSORS.get(kind, _PROCESSORS["intel"]), nesting is not Nesting.NONE)


_WARNING = """\
<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST.
-->
"""
_BODY = """\
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{kib}</memory>
  <currentMemory unit='KiB'>{kib}</currentMemory>
  <vcpu placement='static'>1</vcpu>
  <os>
    <type arch='{arch}' machine='{machine}'>hvm</type>
    <boot dev='hd'/>
  </os>
{features}{cpu}  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <memballoon model='virtio'/>
  </devices>
{arguments}"""
_MODEL = """\
  <cpu mode='custom' match='exact' check='full'>
    <model fallback='forbid'>{model}</model>
{feature}  </cpu>
"""
_PASSTHROUGH = "  <cpu mode='host-passthrough' check='none'/>\n"
_QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
_ARGUMENTS = """\
  <qemu:commandline>
    <qemu:arg value='-machine'/>
    <qemu:arg value='{value}'/>
  </qemu:commandline>
"""
