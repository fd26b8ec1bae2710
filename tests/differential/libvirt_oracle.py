# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ask the installed libvirt's own parsers, through ctypes; run as a program, never imported.

    libvirt_oracle.py DIRECTORY libvirt|augeas

One JSON line in, one out: the answer to {"ask": QUESTION, "inputs": [...]} is a list of the same
length. Bytes are encoded as latin-1 strings. It is a separate program, so that a crash inside
libvirt ends this process and not pytest. The symbols are private to libvirt; the layouts below are
libvirt 9's.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_longlong, c_uint, c_void_p
from typing import Any, Callable

LLONG, ULLONG, STRING, LIST = 1, 2, 3, 4


class LogSource(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("priority", c_uint),
        ("serial", c_uint),
        ("padding", ctypes.c_size_t),
    ]


class Value(Structure):
    pass


Value._fields_ = [
    ("type", c_int),
    ("next", POINTER(Value)),
    ("number", c_longlong),
    ("string", c_char_p),
    ("list", POINTER(Value)),
]


class Entry(Structure):
    pass


Entry._fields_ = [
    ("next", POINTER(Entry)),
    ("name", c_char_p),
    ("comment", c_char_p),
    ("value", POINTER(Value)),
]


class Conf(Structure):
    _fields_ = [
        ("filename", c_char_p),
        ("flags", c_uint),
        ("entries", POINTER(Entry)),
    ]


ErrorFunc = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)


def text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("latin-1")


class Libvirt:
    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libvirt.so.0")
        self.libc = ctypes.CDLL(None)
        for name in ("virLogGetFilters", "virLogGetOutputs"):
            getattr(self.lib, name).restype = c_void_p
        self.lib.virGetLastErrorMessage.restype = c_char_p
        self.lib.virConfReadFile.restype = POINTER(Conf)
        self.lib.virConfFree.argtypes = [POINTER(Conf)]
        self.lib.virConfGetValueString.argtypes = [POINTER(Conf), c_char_p, c_void_p]
        self.lib.virConfGetValueUInt.argtypes = [POINTER(Conf), c_char_p, c_void_p]
        self.libc.free.argtypes = [c_void_p]
        self.quiet = ErrorFunc(lambda *_: None)  # kept alive: libvirt holds the pointer
        if self.lib.virInitialize() < 0 or self.lib.virErrorInitialize() < 0:
            raise SystemExit("libvirt does not initialize")
        self.lib.virSetErrorFunc(None, self.quiet)

    def error(self) -> dict[str, Any]:
        message = text(self.lib.virGetLastErrorMessage())
        self.lib.virResetLastError()
        return {"error": message}

    def owned(self, pointer: int | None) -> str | None:
        """The string behind a char pointer that the caller must free."""
        if not pointer:
            return None
        raw = ctypes.string_at(pointer)
        self.libc.free(pointer)
        return text(raw)

    def version(self, _: str) -> int:
        number = ctypes.c_ulong()
        self.lib.virGetVersion(byref(number), None, None)
        return number.value

    def filters(self, given: str) -> dict[str, Any]:
        if self.lib.virLogSetFilters(given.encode("latin-1")) < 0:
            return self.error()
        return {"readback": self.owned(self.lib.virLogGetFilters())}

    def outputs(self, given: str) -> dict[str, Any]:
        if self.lib.virLogSetOutputs(given.encode("latin-1")) < 0:
            return self.error()
        return {"readback": self.owned(self.lib.virLogGetOutputs())}

    def effective(self, given: list[str]) -> Any:
        """The level that a category, the second string, gets from filters, the first one."""
        filters, category = given
        if self.lib.virLogSetFilters(filters.encode("latin-1")) < 0:
            return self.error()
        source = LogSource(category.encode("latin-1"), 0, 0, 0)
        # Level 0 is below every threshold: the source's level is updated and nothing is logged.
        self.lib.virLogMessage(byref(source), 0, b"f", 1, b"f", None, b"x")
        return source.priority

    def conf(self, given: str) -> dict[str, Any]:
        """Every entry of the file in order, and the three log keys as the daemons read them."""
        memory = os.memfd_create("conf")
        try:
            with open(memory, "wb", closefd=False) as stream:
                stream.write(given.encode("latin-1"))
            path = f"/proc/self/fd/{memory}"
            conf = self.lib.virConfReadFile(path.encode(), 0)
            if not conf:
                return {"error": str(self.error()["error"]).replace(path, "FILE")}
            try:
                return {"entries": entries(conf.contents.entries), "get": self.getters(conf, path)}
            finally:
                self.lib.virConfFree(conf)
        finally:
            os.close(memory)

    def getters(self, conf: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in ("log_filters", "log_outputs"):
            string = c_void_p()
            state = self.lib.virConfGetValueString(conf, key.encode(), byref(string))
            found[key] = self.owned(string.value) if state >= 0 else self.error()
        number = c_uint()
        state = self.lib.virConfGetValueUInt(conf, b"log_level", byref(number))
        found["log_level"] = [None, number.value][state] if state >= 0 else self.error()
        for value in found.values():
            if isinstance(value, dict):
                value["error"] = value["error"].replace(path, "FILE")
        return found


def entries(first: Any) -> list[Any]:
    found = []
    while first:
        entry = first.contents
        if entry.name is not None:
            value = entry.value.contents
            found.append([text(entry.name), value.type, plain(value)])
        first = entry.next
    return found


def plain(value: Any) -> Any:
    if value.type == STRING:
        return text(value.string)
    if value.type == LIST:
        items, item = [], value.list
        while item:
            items.append(plain(item.contents))
            item = item.contents.next
        return items
    return value.number if value.type == LLONG else value.number & (2**64 - 1)


class Augeas:
    """Whether the lens for libvirtd.conf can read a file with this text."""

    NO_LOAD, NO_AUTOLOAD = 1 << 5, 1 << 6

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libaugeas.so.0")
        self.lib.aug_init.restype = c_void_p
        self.lib.aug_init.argtypes = [c_char_p, c_char_p, c_uint]
        self.lib.aug_set.argtypes = [c_void_p, c_char_p, c_char_p]
        self.lib.aug_load.argtypes = [c_void_p]
        self.lib.aug_get.argtypes = [c_void_p, c_char_p, POINTER(c_char_p)]
        self.root = sys.argv[1]
        os.makedirs(f"{self.root}/etc", exist_ok=True)
        self.clock = 0
        self.handle = self.lib.aug_init(self.root.encode(), None, self.NO_LOAD | self.NO_AUTOLOAD)
        self.lib.aug_set(self.handle, b"/augeas/load/Libvirtd/lens", b"Libvirtd.lns")
        self.lib.aug_set(self.handle, b"/augeas/load/Libvirtd/incl", b"/etc/libvirtd.conf")

    def get(self, path: str) -> str | None:
        found = c_char_p()
        self.lib.aug_get(self.handle, path.encode(), byref(found))
        return text(found.value)

    def augeas(self, given: str) -> dict[str, Any]:
        path = f"{self.root}/etc/libvirtd.conf"
        with open(path, "wb") as stream:
            stream.write(given.encode("latin-1"))
        self.clock += 1  # augeas does not reread a file whose mtime, in seconds, is unchanged
        os.utime(path, (self.clock, self.clock))
        self.lib.aug_load(self.handle)
        error = self.get("/augeas/files/etc/libvirtd.conf/error")
        keys = ("log_filters", "log_outputs")
        return {
            "error": error,
            **{key: self.get(f"/files/etc/libvirtd.conf/{key}") for key in keys},
        }


def main() -> None:
    answers: dict[str, Callable[[Any], Any]] = {}
    if sys.argv[2] == "augeas":
        answers["augeas"] = Augeas().augeas
    else:
        os.chdir(sys.argv[1])
        libvirt = Libvirt()
        for name in ("version", "filters", "outputs", "effective", "conf"):
            answers[name] = getattr(libvirt, name)
    for line in sys.stdin:
        question = json.loads(line)
        answer = [answers[question["ask"]](given) for given in question["inputs"]]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
