# SPDX-License-Identifier: LGPL-2.1-or-later
"""One reload as a transaction: it ends verified in the new state or back in the old one.

The order is what keeps the promises: everything that can fail for want of space or rights comes
before the unload; the kernel's own refusal of the unload is the gate (what runs is never harmed,
and then nothing has been written); after the unload every way leads to a loaded module.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Callable

from nestd.core.errors import Busy, NotSupported, ReloadFailed, RolledBack, system_reason
from nestd.core.model import JobState
from nestd.core.modules.values import differing, passable
from nestd.core.reloads.transaction import Transaction
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.kernel.interface import Kernel, LoadError, LoadTimeout, NotThisMachine
from nestd.host.state.records import Records

# QEMU's capability probes and udev's workers hold the module for moments.
UNLOAD_SECONDS = 2.0
UNLOAD_FIRST_PAUSE = 0.05
DEVICE_SECONDS = 5.0
_IN_USE = (errno.EAGAIN, errno.EBUSY)

log = logging.getLogger(__name__)


class VerificationFailed(Exception):
    """The module is not what it should be after the load; the text is one sentence."""


def _reason(error: Exception) -> str:
    """ERROR as a part of a sentence."""
    if isinstance(error, (LoadError, VerificationFailed)):
        return str(error)
    if isinstance(error, OSError):
        return system_reason(error)
    log.error("A reload met what it does not know", exc_info=error)
    return "internal error, see the journal of nestd"


class Reload:
    """Carries out one Transaction on one Kernel, recording each step."""

    def __init__(
        self,
        kernel: Kernel,
        records: Records,
        types: Mapping[str, ParameterType],
        progress: Callable[[JobState], None],
    ) -> None:
        self._kernel = kernel
        self._records = records
        self._types = types
        self._progress = progress

    async def run(
        self, transaction: Transaction, explain: Callable[[], Awaitable[str]], patience: float
    ) -> None:
        """Unload, load, verify; roll back where that fails.

        Raises Busy (with what EXPLAIN says, after PATIENCE seconds of trying) or NotSupported,
        then with nothing changed and the record left to the caller; RolledBack with the old state
        restored; ReloadFailed.
        """
        self.record(transaction.at(JobState.UNLOADING))
        await self._unload(transaction.module, explain, patience)
        await self.load(transaction)

    async def load(self, transaction: Transaction) -> None:
        """The second half, with the module unloaded; also where a crash left off."""
        try:
            self.record(transaction.at(JobState.LOADING))
            if transaction.replacement is not None and not transaction.replacement.committed:
                transaction.replacement.commit()
            await self._kernel.load(transaction.module)
            if self._was_overtaken(transaction):
                await self._kernel.unload(transaction.module)
                await self._kernel.load(transaction.module)
            await self.verify(transaction.module, transaction.wanted)
        except Exception as error:  # whatever it is, the module is not left unloaded
            hangs = isinstance(error, LoadTimeout)
            await self.roll_back(transaction, _reason(error), modprobe_hangs=hangs)
        self.finish(transaction)

    def _was_overtaken(self, transaction: Transaction) -> bool:
        """Whether it runs as before: udev, say, has loaded it before the file was in place."""
        facts = self._kernel.read_module(transaction.module)
        before = transaction.before
        return (
            facts.loaded
            and bool(differing(transaction.wanted, before, self._types))
            and not differing(before, facts.parameters, self._types)
        )

    async def roll_back(
        self, transaction: Transaction, reason: str, *, modprobe_hangs: bool = False
    ) -> None:
        """Restore file and module; always raises: RolledBack, or ReloadFailed.

        With MODPROBE_HANGS the configuration is not loaded from again.
        """
        self.record(transaction.at(JobState.ROLLING_BACK), must=False)
        file_restored = self._restore_file(transaction)
        await self._restore_module(transaction, reason, modprobe_hangs)
        text = f"{transaction.module} was not reloaded and runs as before: {reason}"
        if not file_restored:
            # The record stays, and with it the old file: the next start tries again.
            raise ReloadFailed(f"{text}; but the configuration could not be put back.")
        self.finish(transaction)
        raise RolledBack(f"{text}.")

    async def verify(self, module: str, wanted: Mapping[str, str]) -> None:
        """Read back what the kernel uses. Raises VerificationFailed."""
        self._progress(JobState.VERIFYING)
        self._verify_values(module, wanted)
        if not await self._kernel.wait_for_device(DEVICE_SECONDS):
            raise VerificationFailed("/dev/kvm did not come back")

    def _verify_values(self, module: str, wanted: Mapping[str, str]) -> None:
        facts = self._kernel.read_module(module)
        if not facts.loaded:
            raise VerificationFailed(f"{module} is not loaded")
        wrong = differing(wanted, facts.parameters, self._types)
        if wrong:
            said = ", ".join(f"{name}={facts.parameters.get(name, '?')}" for name in wrong)
            raise VerificationFailed(f"{module} runs with {said}, not as it was asked")

    def record(self, transaction: Transaction, *, must: bool = True) -> None:
        """Write the step down, then tell it. Not MUST: a full disk does not stop the way back."""
        try:
            self._records.write(transaction.job, transaction.encode(self._records.boot_id))
        except OSError:
            if must:
                raise
            log.exception("The step of job %d could not be recorded", transaction.job)
        self._progress(transaction.step)

    def finish(self, transaction: Transaction) -> None:
        """Forget the transaction: the last step of each way. Never raises.

        A record that cannot be removed does no harm: the next start finds everything done.
        """
        if transaction.replacement is not None:
            transaction.replacement.discard()
        try:
            self._records.remove(transaction.job)
        except OSError:
            log.exception("The record of job %d could not be removed", transaction.job)

    async def _unload(
        self, module: str, explain: Callable[[], Awaitable[str]], patience: float
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        pause = UNLOAD_FIRST_PAUSE
        while True:
            try:
                return await self._kernel.unload(module)
            except NotThisMachine:
                raise NotSupported("These are the files of another machine.") from None
            except OSError as error:
                if error.errno == errno.ENOENT:  # somebody else unloaded it
                    return None
                if error.errno not in _IN_USE:
                    raise NotSupported(
                        f"The kernel does not unload {module}: {error.strerror}."
                    ) from error
            if loop.time() + pause > deadline:
                raise Busy(await explain())
            await asyncio.sleep(pause)
            pause *= 2

    def _restore_file(self, transaction: Transaction) -> bool:
        try:
            if transaction.replacement is not None:
                transaction.replacement.undo()
        except OSError:
            log.exception("The configuration could not be put back")
            return False
        return True

    async def _restore_module(
        self, transaction: Transaction, reason: str, modprobe_hangs: bool
    ) -> None:
        """Load as it ran before: as configured, else with the old values and no configuration.

        What can be written to the running module needs no load.
        """
        module, before = transaction.module, transaction.before
        self._write_back(module, before)
        facts = self._kernel.read_module(module)
        if facts.loaded and not differing(before, facts.parameters, self._types):
            return
        explicit = passable(before, self._types)
        tried = []
        ways = ((), False), (explicit, True), ((), True)
        for parameters, only_these in ways[1:] if modprobe_hangs else ways:
            try:
                await self._unload_other(module)
                await self._kernel.load(module, parameters, only_these=only_these)
                self._verify_values(module, before)
                break
            except Exception as error:
                tried.append(_reason(error))
        else:
            self._raise_not_restored(module, reason, tried)
        # No other load would give a device that this one does not.
        if not await self._kernel.wait_for_device(DEVICE_SECONDS):
            log.warning("/dev/kvm did not come back as it was before %s was reloaded", module)

    def _write_back(self, module: str, before: Mapping[str, str]) -> None:
        facts = self._kernel.read_module(module)
        for name in facts.writable.intersection(differing(before, facts.parameters, self._types)):
            with contextlib.suppress(OSError):
                self._kernel.write_parameter(module, name, before[name])

    def _raise_not_restored(self, module: str, reason: str, tried: Sequence[str]) -> None:
        lost = "" if self._kernel.read_module(module).loaded else "This host has no KVM now: "
        raise ReloadFailed(
            f"{lost}{module} loads neither as asked ({reason}) nor as it ran before"
            f" ({'; '.join(tried)}). `modprobe {module}` was tried."
        )

    async def _unload_other(self, module: str) -> None:
        """Out with one that runs with other values than before, unless somebody uses it already."""
        if self._kernel.read_module(module).loaded:
            with contextlib.suppress(OSError):
                await self._kernel.unload(module)
