# SPDX-License-Identifier: LGPL-2.1-or-later
"""Probes nestd's sandbox from inside, run as the program of the shipped unit (probe_unit()).

Prints a JSON object: for each attempt "" if it worked, else the name of the errno. Only for
disposable machines: what the sandbox fails to block takes effect.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_KVM_GET_API_VERSION = 0xAE00
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_PTRACE_ATTACH = 16
_NETLINK_KOBJECT_UEVENT = 15
_ANY_USER = 12345
# /proc itself: the kernel or a separate mount protects its content.
_WRITABLE = (
    "/etc/libvirt",
    "/etc/modprobe.d",
    "/proc",
    "/run/nestd",
    "/sys/module",
    "/tmp",
    "/var/lib/nestd",
    "/var/tmp",
)
# System calls without a function in libc, by their numbers on x86_64.
_X86_64 = {"bpf": 321, "perf_event_open": 298, "kexec_load": 246, "keyctl": 250}


def tries() -> Mapping[str, Callable[[], object]]:
    """All attempts."""
    return {
        # What nestd needs.
        "allowed: replace in modprobe.d": lambda: _replace(Path("/etc/modprobe.d")),
        "allowed: replace in libvirt": lambda: _replace(Path("/etc/libvirt")),
        "allowed: write /run/nestd": lambda: _write(Path("/run/nestd/probe")),
        "allowed: write /var/lib/nestd": lambda: _write(Path("/var/lib/nestd/probe")),
        "allowed: write /tmp": lambda: _write(Path("/tmp/probe")),
        "allowed: read another's file": lambda: Path(OTHERS).read_text(),
        "allowed: descriptors of others": _look_into_all_processes,
        "allowed: unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "allowed: kernel events": _listen_to_kernel_events,
        "allowed: the host's network namespace": _compare_network_namespace,
        "allowed: large log entry": lambda: os.close(os.memfd_create("probe")),
        "allowed: wait for a process": lambda: os.close(os.pidfd_open(os.getppid())),
        "allowed: callbacks of ctypes": lambda: ctypes.CFUNCTYPE(None)(lambda: None)(),
        "allowed: modprobe": lambda: _run("modprobe", "--version"),
        "allowed: systemd-detect-virt": lambda: _run("systemd-detect-virt", "--version"),
        "allowed: journalctl": lambda: _run("journalctl", "--lines=1", "--quiet"),
        "allowed: list the initramfs": _list_initramfs,
        "allowed: shell and tools": lambda: _run("sh", "-c", "ls /usr | sort > /tmp/sorted"),
        # What depends on the kernel.
        "kernel: unload a module": lambda: _call("delete_module", b"no_such_module", os.O_NONBLOCK),
        "kernel: read the log": lambda: _open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK),
        "kernel: write a parameter": _open_a_parameter,
        # What nestd must not do.
        "internet": lambda: socket.socket(socket.AF_INET).close(),
        "internet 6": lambda: socket.socket(socket.AF_INET6).close(),
        "raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "vsock": lambda: socket.socket(socket.AF_VSOCK).close(),
        "write /etc": lambda: _write(Path("/etc/probe")),
        "write /etc/passwd": lambda: _open("/etc/passwd", os.O_WRONLY),
        "write /etc/systemd": lambda: _write(Path("/etc/systemd/system/probe.service")),
        "write /usr": lambda: _write(Path("/usr/lib/probe")),
        "write /boot": lambda: _write(Path("/boot/probe")),
        "write /var/lib": lambda: _write(Path("/var/lib/probe")),
        "write /run": lambda: _write(Path("/run/probe-outside")),
        "write the kernel's log": lambda: _open("/dev/kmsg", os.O_WRONLY),
        "write a sysctl": lambda: _open("/proc/sys/kernel/core_pattern", os.O_WRONLY),
        "write a control group": lambda: _write(Path("/sys/fs/cgroup/probe")),
        "write sysfs": lambda: _open("/sys/kernel/mm/transparent_hugepage/enabled", os.O_WRONLY),
        # The test creates these files.
        "see the passwords": lambda: _read_something(Path("/etc/shadow")),
        "see /root": lambda: Path("/root/probe").read_text(),
        "see /home": lambda: Path("/home/probe").read_text(),
        "see /tmp of all": lambda: Path("/tmp/probe-of-all").read_text(),
        "open /dev/kvm": lambda: _open("/dev/kvm", os.O_RDWR, _KVM_GET_API_VERSION),
        "open /dev/mem": lambda: _open("/dev/mem", os.O_RDONLY),
        "make a device": lambda: os.mknod("/run/nestd/device", 0o20600, os.makedev(1, 1)),
        "mount": lambda: _call("mount", b"none", b"/run/nestd", b"tmpfs", 0, None),
        "new mount namespace": lambda: _call("unshare", _CLONE_NEWNS),
        "new user namespace": lambda: _call("unshare", _CLONE_NEWUSER),
        "chroot": lambda: os.chroot("/run"),
        "trace a process": lambda: _call("ptrace", _PTRACE_ATTACH, 1, None, None),
        "become another user": lambda: os.setuid(1),
        "change groups": lambda: os.setgroups([1]),
        "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
        "set the host's name": lambda: socket.sethostname("probe"),
        "reboot": lambda: _call("reboot", 0),  # disables Ctrl-Alt-Del
        "swap": lambda: _call("swapon", b"/dev/null", 0),
        "realtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "another personality": lambda: _call("personality", 8),
        "higher priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
        "writable code": lambda: mmap.mmap(-1, 4096, prot=7).close(),
        "set-user-id file": _make_set_user_id_file,
        "writable mounts": _find_a_writable_mount,
        "capabilities": _find_a_capability,
        **{name: lambda name=name: _syscall(_X86_64[name]) for name in _X86_64},  # type: ignore
    }


def _replace(directory: Path) -> None:
    """Replace a file as nestd does; it has another owner and mode."""
    new, old = directory / ".probe-new", directory / ".probe"
    old.write_text("old")
    new.write_text("new")
    os.chown(new, _ANY_USER, _ANY_USER)
    os.chmod(new, 0o640)
    os.rename(new, old)
    old.unlink()


def _write(path: Path) -> None:
    path.write_text("")
    path.unlink()


def _read_something(path: Path) -> None:
    """Inaccessible files appear as empty."""
    if not path.read_text():
        raise PermissionError(errno.EACCES, "there is nothing in it")


def _open(path: str, flags: int, request: int | None = None) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        if request is not None:
            fcntl.ioctl(fd, request)
    finally:
        os.close(fd)


def _open_a_parameter() -> None:
    writable = [path for path in Path("/sys/module").glob("*/parameters/*") if _is_writable(path)]
    if not writable:
        raise FileNotFoundError(errno.ENOENT, "no module has a writable parameter")
    _open(str(writable[0]), os.O_WRONLY)


def _is_writable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o200)


def _look_into_all_processes() -> None:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            with contextlib.suppress(FileNotFoundError):  # a process that ends meanwhile
                for link in (entry / "fd").iterdir():
                    os.readlink(link)


def _listen_to_kernel_events() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_KOBJECT_UEVENT) as events:
        events.bind((0, 1))


def _compare_network_namespace() -> None:
    if os.stat("/proc/self/ns/net").st_ino != os.stat("/proc/1/ns/net").st_ino:
        raise FileNotFoundError(errno.ENOENT, "the kernel's events are sent into another one")


def _make_set_user_id_file() -> None:
    path = Path("/run/nestd/probe-suid")
    path.write_text("")
    try:
        path.chmod(0o4755)
    finally:
        path.unlink()


def _find_a_writable_mount() -> None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        path = line.split()[4].encode().decode("unicode_escape")
        if path not in _WRITABLE and not path.startswith("/dev"):
            with contextlib.suppress(PermissionError, FileNotFoundError):
                if not os.statvfs(path).f_flag & os.ST_RDONLY:
                    print(path, file=sys.stderr)
                    return
    raise OSError(errno.EROFS, "there is none")


def _find_a_capability() -> None:
    """One beyond CHOWN, DAC_READ_SEARCH, FOWNER, SYS_MODULE, SYS_PTRACE and SYSLOG."""
    allowed = sum(1 << number for number in (0, 2, 3, 16, 19, 34))
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    if not (int(status["CapBnd"], 16) | int(status["CapEff"], 16)) & ~allowed:
        raise PermissionError(errno.EPERM, "there is none")


def _list_initramfs() -> None:
    for image in Path("/boot").glob("initrd.img-*"):
        _run("lsinitramfs", str(image))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _call(function: str, *arguments: object) -> None:
    _check(getattr(_libc, function)(*arguments))


def _syscall(number: int) -> None:
    if os.uname().machine != "x86_64":
        raise PermissionError(errno.EPERM, "not tried on this architecture")
    _check(_libc.syscall(number, 0, 0, 0, 0, 0))


def _check(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


PLANTED = ("/root/probe", "/home/probe", "/tmp/probe-of-all")
OTHERS = "/run/probe/others"  # another user's file, unreadable for others
SCRIPT, OUTPUT = "/run/probe/probe.py", "/run/probe/output"
_LINES_OF_A_SERVICE = (
    "Type=",
    "BusName=",
    "ExecStart=",
    "ExecReload=",
    "Restart",
    "WatchdogSec=",
    "WantedBy=",
)


def probe_unit(shipped: str) -> str:
    """The text of a unit that runs SCRIPT once in the sandbox of the SHIPPED one."""
    lines = [line for line in shipped.splitlines() if not line.startswith(_LINES_OF_A_SERVICE)]
    once = (
        "[Service]",
        "Type=oneshot",
        f"ExecStart=/usr/bin/python3 {SCRIPT}",
        f"StandardOutput=truncate:{OUTPUT}",
        "StandardError=journal",
    )
    return "\n".join(lines).replace("[Service]", "\n".join(once)) + "\n"


def held_back(found: Mapping[str, str]) -> dict[str, str]:
    """What nestd needs and the sandbox blocks: names with errno, except "kernel:"."""
    return {name: why for name, why in found.items() if name.startswith("allowed:") and why}


def let_through(found: Mapping[str, str]) -> list[str]:
    """What must be blocked and works."""
    return [name for name, why in found.items() if not why and ":" not in name]


def main() -> None:
    found = {}
    for name, attempt in tries().items():
        try:
            attempt()
            found[name] = ""
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, str(error))
        except subprocess.CalledProcessError as error:
            found[name] = str(error)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
