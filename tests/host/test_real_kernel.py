# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of the real kernel interface that files below a directory can replace."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from nestd.host.kernel.real import RealKernel
from nestd.host.root import Root


def device(root: Root, mode: int) -> None:
    root.at("/dev/kvm").unlink(missing_ok=True)
    root.at("/dev").mkdir(exist_ok=True)
    root.at("/dev/kvm").touch()
    root.at("/dev/kvm").chmod(mode)


def wait(kernel: RealKernel, seconds: float) -> bool:
    return asyncio.run(kernel.wait_for_device(seconds))


def test_a_device_that_is_as_before_is_back(tmp_path: Path) -> None:
    root = Root(tmp_path)
    device(root, 0o660)
    kernel = RealKernel(root)
    device(root, 0o660)
    assert wait(kernel, 1.0)


def test_a_device_whose_permissions_somebody_had_changed_is_back(tmp_path: Path) -> None:
    """chmod 666 /dev/kvm, as in many guides, is lost with the reload: udev's rule applies."""
    root = Root(tmp_path)
    device(root, 0o666)
    kernel = RealKernel(root)
    device(root, 0o660)
    assert wait(kernel, 1.0)


@pytest.mark.skipif(os.getuid() != 0, reason="a device as the kernel makes it is root's")
def test_a_device_that_udev_has_not_seen_is_not_back(tmp_path: Path) -> None:
    root = Root(tmp_path)
    device(root, 0o660)
    kernel = RealKernel(root)
    device(root, 0o600)
    assert not wait(kernel, 0.1)


def test_a_device_that_is_not_there_is_not_back(tmp_path: Path) -> None:
    assert not wait(RealKernel(Root(tmp_path)), 0.05)
