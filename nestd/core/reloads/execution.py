# SPDX-License-Identifier: LGPL-2.1-or-later
"""One reload as a transaction: it ends verified in the new state or restored to the old one.

The guarantees follow from the order of the steps: everything that can fail for lack of space,
permission or a program comes before the unload; the kernel's refusal to unload is the gate (running
machines are never harmed, and nothing has been written yet); after the unload every path ends with
a loaded module. In a chain the module that uses the others is unloaded first and loaded last.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Callable

from nestd.core.errors import Busy, NotSupported, system_reason
from nestd.core.model import JobState
from nestd.core.modules.values import differing
from nestd.core.reloads.roll_back import RollBack, Types, VerificationFailed, verify_values
from nestd.core.reloads.transaction import Purpose, Transaction
from nestd.host.editing.replacement import Replacement
from nestd.host.kernel.interface import Kernel, LoadError, LoadTimeout, NotThisMachine
from nestd.host.state.records import Records

# QEMU's capability probes and udev's workers use the module briefly.
UNLOAD_SECONDS = 2.0
UNLOAD_FIRST_PAUSE = 0.05
# For a module whose user has just been unloaded, so that there is no KVM meanwhile.
NEXT_UNLOAD_SECONDS = 0.5
DEVICE_SECONDS = 5.0
COMMIT_ATTEMPTS = 5
_IN_USE = (errno.EAGAIN, errno.EBUSY)

log = logging.getLogger(__name__)


def reason(error: Exception) -> str:
    """The text of ERROR as part of a sentence."""
    if isinstance(error, (LoadError, VerificationFailed)):
        return str(error)
    if isinstance(error, OSError):
        return system_reason(error)
    log.error("Unexpected error during a reload", exc_info=error)
    return "internal error, see the journal of nestd"


@dataclass(frozen=True)
class Gate:
    """How to treat a refused unload."""

    explain: Callable[[], Awaitable[str]]  # one sentence on what uses the module
    is_final: Callable[[], Awaitable[bool]]  # whether further attempts are useless
    seconds: float  # how long to retry otherwise


Remake = Callable[[], Awaitable["Replacement | None"]]
"""Prepares the replacement again if the file was changed meanwhile."""


class Execution:
    """Carries out one Transaction on one Kernel, recording each step."""

    def __init__(
        self,
        kernel: Kernel,
        records: Records,
        types: Types,
        progress: Callable[[JobState], None],
        remake: Remake | None = None,
    ) -> None:
        self._kernel = kernel
        self._records = records
        self._types = types
        self._progress = progress
        self._remake = remake
        self._roll_back = RollBack(kernel, types)
        self.recorded: Transaction | None = None  # as last recorded

    async def run(self, transaction: Transaction, gate: Gate) -> None:
        """Unload, load, verify; roll back on failure.

        Raises Busy or NotSupported with nothing changed and the record left to the caller,
        RolledBack with the old state restored, NotRestored or ReloadFailed.
        """
        await self._check_loads(transaction)
        await self.record(transaction.at(JobState.UNLOADING))
        await self.unload(transaction, gate)
        if transaction.purpose is Purpose.RELOAD:
            await self.load(transaction)
        else:
            await self.finish(transaction)

    async def unload(self, transaction: Transaction, gate: Gate) -> None:
        """The first half. Raises Busy or NotSupported with everything loaded as before."""
        loop = asyncio.get_running_loop()
        deadline, pause, gone = loop.time() + gate.seconds, UNLOAD_FIRST_PAUSE, False
        while True:
            try:
                for module in reversed(transaction.modules):
                    await self._unload_one(module)
                    if not gone:
                        deadline, gone = max(deadline, loop.time() + NEXT_UNLOAD_SECONDS), True
                return
            except OSError as error:
                if error.errno not in _IN_USE:
                    await self._load_again(transaction, gone, system_reason(error))
                    text = f"The kernel does not unload {error.filename}: {error.strerror}."
                    raise NotSupported(text) from error
            if loop.time() + pause > deadline or await gate.is_final():
                text = await gate.explain()
                await self._load_again(transaction, gone, text)
                raise Busy(text)
            await asyncio.sleep(pause)
            pause *= 2

    async def load(self, transaction: Transaction) -> None:
        """The second half, with the modules unloaded; also to continue after a crash."""
        self.recorded = transaction
        try:
            await self.record(transaction.at(JobState.LOADING))
            await self._commit(transaction)
            await self.load_all(transaction)
            if self._was_overtaken(transaction):
                await self.unload_all(transaction)
                await self.load_all(transaction)
            await self.verify(transaction)
        except Exception as error:  # no module may stay unloaded, whatever the error
            hangs = isinstance(error, LoadTimeout)
            await self.roll_back(self.recorded, reason(error), modprobe_hangs=hangs)
        await self.finish(self.recorded)

    async def roll_back(
        self, transaction: Transaction, reason: str, *, modprobe_hangs: bool = False
    ) -> None:
        """Restore file and modules. Always raises RolledBack, NotRestored or ReloadFailed.

        With MODPROBE_HANGS the configuration is not used for loads again. If something could not be
        restored, the record and the file's backup are kept: the next start tries again.
        """
        await self.record(transaction.at(JobState.ROLLING_BACK), must=False)
        done = await self._roll_back.run(transaction, reason, modprobe_hangs=modprobe_hangs)
        await self.finish(transaction)
        raise done

    async def verify(self, transaction: Transaction) -> None:
        """Read back the kernel's values. Raises VerificationFailed."""
        self._progress(JobState.VERIFYING)
        for member in transaction.members:
            verify_values(self._kernel, self._types, member.module, member.wanted)
        if not await self._kernel.wait_for_device(DEVICE_SECONDS):
            raise VerificationFailed("/dev/kvm did not come back")

    async def record(self, transaction: Transaction, *, must: bool = True) -> None:
        """Record the step, then report it. Without MUST, a full disk does not stop a roll-back."""
        self.recorded = transaction
        try:
            record = transaction.encode(self._records.boot_id)
            await asyncio.to_thread(self._records.write, transaction.job, record)
        except OSError:
            if must:
                raise
            log.exception("The step of job %d could not be recorded", transaction.job)
        self._progress(transaction.step)

    async def finish(self, transaction: Transaction) -> None:
        """Remove the record, as the last step of every path. Never raises.

        A record that cannot be removed is harmless: the next start finds everything done.
        """
        if transaction.replacement is not None:
            await asyncio.to_thread(transaction.replacement.discard)
        try:
            await asyncio.to_thread(self._records.remove, transaction.job)
        except OSError:
            log.exception("The record of job %d could not be removed", transaction.job)

    def loaded(self, transaction: Transaction) -> tuple[str, ...]:
        """The members that are loaded now."""
        read = self._kernel.read_module
        return tuple(name for name in transaction.modules if read(name).loaded)

    async def _check_loads(self, transaction: Transaction) -> None:
        """Check everything that the load needs before the unload."""
        for module in transaction.modules:
            try:
                await self._kernel.check_load(module)
            except NotThisMachine:
                raise NotSupported("These are the files of another machine.") from None
            except LoadError as error:
                raise NotSupported(
                    f"{module} stays as it is, since it could not be loaded again: {error}."
                ) from error

    async def _unload_one(self, module: str) -> None:
        try:
            await self._kernel.unload(module)
        except OSError as error:
            if error.errno != errno.ENOENT:  # ENOENT: somebody has unloaded it already
                error.filename = module
                raise

    async def _load_again(self, transaction: Transaction, gone: bool, reason: str) -> None:
        """Load the already unloaded modules of a chain again, since another one is in use."""
        if gone:
            await self._roll_back.restore_modules(transaction, reason)

    async def _commit(self, transaction: Transaction) -> None:
        """Put the file in place. If an editor changed it meanwhile, edit it once more."""
        replacement = transaction.replacement
        for attempt in range(COMMIT_ATTEMPTS):
            if replacement is None or replacement.committed:
                return
            try:
                return await asyncio.to_thread(replacement.commit)
            except OSError as error:
                last = attempt == COMMIT_ATTEMPTS - 1
                if error.errno != errno.ESTALE or self._remake is None or last:
                    raise
            replacement = await self._remake()
            again = replace(transaction, replacement=replacement)
            await self.record(again.at(JobState.LOADING))

    async def load_all(self, transaction: Transaction) -> None:
        """Load the members as configured. Raises LoadError."""
        for module in transaction.modules:
            await self._kernel.load(module)

    async def unload_all(self, transaction: Transaction) -> None:
        """Unload the members. Raises OSError."""
        for module in reversed(transaction.modules):
            await self._unload_one(module)

    def _was_overtaken(self, transaction: Transaction) -> bool:
        """Whether one runs as before, for example loaded by udev before the file was in place."""
        for member in transaction.members:
            facts = self._kernel.read_module(member.module)
            types = self._types.get(member.module, {})
            if (
                facts.loaded
                and differing(member.wanted, member.before, types)
                and not differing(member.before, facts.parameters, types)
            ):
                return True
        return False
