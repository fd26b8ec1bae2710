# SPDX-License-Identifier: LGPL-2.1-or-later
"""libkmod itself, asked about a generated host tree by a child process chrooted there.

The child loads the library before it enters the tree, so that libkmod's default directories,
/lib/modules/RELEASE and /proc/cmdline are the tree's.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

RELEASE = "6.1.0-test"
_CLONE_NEWUSER = 0x10000000
_WARNING = re.compile(
    rb": (/[^\n]*?) line (\d+): ignoring bad line starting with '([^\n]*)'\n"
    rb"|: (/[^\n]*?): command ([^\n]*) is deprecated"
)


class OracleMissing(Exception):
    """There is no libkmod, or no permission to chroot; the text says which."""


def kmod_version() -> int:
    """The library's major version; NESTD_KMOD_VERSION states it for the one in NESTD_LIBKMOD."""
    told = os.environ.get("NESTD_KMOD_VERSION")
    if told:
        return int(told)
    try:
        answer = subprocess.run(["modprobe", "--version"], capture_output=True, check=True)
    except OSError as error:
        raise OracleMissing("modprobe (package kmod)") from error
    found = re.search(rb"kmod version (\d+)", answer.stdout)
    if found is None:
        raise OracleMissing("kmod as the provider of modprobe")
    return int(found.group(1))


class Oracle:
    """One libkmod in one tree."""

    def __init__(self, root: Path) -> None:
        library = os.environ.get("NESTD_LIBKMOD", "libkmod.so.2")
        self._child = subprocess.Popen(
            [sys.executable, "-I", __file__, library, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        greeting = self._answer()
        if greeting != "ready":
            self.close()
            raise OracleMissing(str(greeting))

    def ask(self, module: str) -> dict[str, object]:
        """All that libkmod reads from the tree, and its result for MODULE; text as Latin-1."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(module).encode() + b"\n")
        self._child.stdin.flush()
        answer = self._answer()
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        """End the child."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait()
        self._child.stdout.close()

    def _answer(self) -> object:
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline() or b'"the oracle died"')


class _Library:
    """The part of libkmod's API that shows its configuration."""

    LISTS = ("blacklists", "install_commands", "remove_commands", "aliases", "options", "softdeps")

    def __init__(self, path: str) -> None:
        self._kmod = ctypes.CDLL(path)
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        self._declare("kmod_new", pointer, text, ctypes.POINTER(text))
        self._declare("kmod_unref", pointer, pointer)
        for name in self.LISTS:
            self._declare(f"kmod_config_get_{name}", pointer, pointer)
        self._declare("kmod_config_iter_get_key", text, pointer)
        self._declare("kmod_config_iter_get_value", text, pointer)
        self._declare("kmod_config_iter_next", ctypes.c_bool, pointer)
        self._declare("kmod_config_iter_free_iter", None, pointer)
        self._declare("kmod_module_new_from_name", ctypes.c_int, pointer, text, pointer)
        self._declare("kmod_module_get_options", text, pointer)
        self._declare("kmod_module_get_install_commands", text, pointer)
        self._declare("kmod_module_unref", pointer, pointer)

    def _declare(self, name: str, result: object, *arguments: object) -> None:
        function = getattr(self._kmod, name)
        function.restype = result
        function.argtypes = arguments

    def read(self, module: str) -> dict[str, object]:
        context = self._kmod.kmod_new(f"/lib/modules/{RELEASE}".encode(), None)
        assert context
        answer: dict[str, object] = {name: self._list(context, name) for name in self.LISTS}
        handle = ctypes.c_void_p()
        name = module.encode()
        assert self._kmod.kmod_module_new_from_name(context, name, ctypes.byref(handle)) == 0
        answer["module_options"] = _latin(self._kmod.kmod_module_get_options(handle))
        answer["module_install"] = _latin(self._kmod.kmod_module_get_install_commands(handle))
        self._kmod.kmod_module_unref(handle)
        self._kmod.kmod_unref(context)
        return answer

    def _list(self, context: int, name: str) -> list[tuple[str | None, str | None]]:
        items = []
        iterator = getattr(self._kmod, f"kmod_config_get_{name}")(context)
        while self._kmod.kmod_config_iter_next(iterator):
            key = self._kmod.kmod_config_iter_get_key(iterator)
            value = self._kmod.kmod_config_iter_get_value(iterator)
            items.append((_latin(key), _latin(value)))
        self._kmod.kmod_config_iter_free_iter(iterator)
        return items


def _latin(text: bytes | None) -> str | None:
    return None if text is None else text.decode("latin-1")


def _enter(root: str) -> None:
    try:
        os.chroot(root)
    except PermissionError:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) != 0:
            raise
        os.chroot(root)
    os.chdir("/")


def _serve(library: str, root: str) -> None:
    kmod = _Library(library)
    # In memory: on a full disk libkmod would silently lose its warnings.
    with open(os.memfd_create("warnings"), "w+b", buffering=0) as warnings:
        os.dup2(warnings.fileno(), 2)
        _enter(root)
        print('"ready"', flush=True)
        for line in sys.stdin:
            warnings.seek(0)
            warnings.truncate()
            answer = kmod.read(json.loads(line))
            warnings.seek(0)
            answer["bad_lines"] = [
                (_latin(file or other), int(number or 0), _latin(word or keyword))
                for file, number, word, other, keyword in _WARNING.findall(warnings.read())
            ]
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        _serve(*sys.argv[1:])
    except OSError as error:
        print(json.dumps(f"the right to chroot, and libkmod ({error})"), flush=True)
