# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run under umockdev-wrapper: nestd notices a module that comes and goes in a mocked /sys."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from nestd.host.kernel.interface import KernelEvent
from nestd.host.kernel.sysfs import read_module
from nestd.host.kernel.uevents import UeventWatch
from nestd.host.root import Root


async def main() -> None:
    library = ctypes.CDLL("libumockdev.so.0")
    library.umockdev_testbed_new.restype = ctypes.c_void_p
    library.umockdev_testbed_get_root_dir.restype = ctypes.c_char_p
    library.umockdev_testbed_get_root_dir.argtypes = [ctypes.c_void_p]
    library.umockdev_testbed_uevent.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    testbed = library.umockdev_testbed_new()
    root = Path(os.fsdecode(library.umockdev_testbed_get_root_dir(testbed)))
    module = root / "sys/module/kvm_intel"
    (module / "parameters").mkdir(parents=True)
    for name, text in {"uevent": "", "initstate": "live\n", "parameters/nested": "Y\n"}.items():
        (module / name).write_text(text)
    heard: asyncio.Queue[KernelEvent] = asyncio.Queue()
    watch = UeventWatch(heard.put_nowait)
    for action in (b"add", b"remove"):
        library.umockdev_testbed_uevent(testbed, b"/sys/module/kvm_intel", action)
        event = await asyncio.wait_for(heard.get(), 10)
        print(f"{event.change.value}:{event.module}")
    facts = read_module(Root(), "0", "kvm_intel")
    print(f"loaded:{facts.parameters['nested']}" if facts.loaded else "not loaded")
    for path in (module / "initstate", module / "parameters/nested", module / "uevent"):
        path.unlink()
    (module / "parameters").rmdir()
    module.rmdir()
    print("loaded" if read_module(Root(), "0", "kvm_intel").loaded else "gone")
    watch.close()


asyncio.run(main())
