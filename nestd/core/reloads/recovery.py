# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finishes or undoes, at start, transactions interrupted by the end of the previous nestd.

A record contains the intention; the progress is read from the host: whether the module is loaded,
its values, and the bytes in kvm.conf. Every path ends completed or undone, and verified.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from nestd.core.errors import Busy, NestdError, NotRestored, ReloadFailed, RolledBack
from nestd.core.journal_events import Event, about
from nestd.core.model import JobState, When
from nestd.core.reloads.execution import UNLOAD_SECONDS, Execution
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.load import Load
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.roll_back import VerificationFailed
from nestd.core.reloads.transaction import DamagedRecord, Purpose, Transaction, decode
from nestd.host.editing.replacement import remove_leftovers

INTERRUPTED = "nestd was stopped in the middle of it"
_DONE = {
    Purpose.RELOAD: "reloaded",
    Purpose.UNLOAD: "unloaded",
    Purpose.LOAD: "loaded",
    Purpose.FILE: "changed",
}

log = logging.getLogger(__name__)


async def recover(reloads: Reloads) -> None:
    """Finish or undo everything on record; waiting jobs wait again, with their ids.

    Records in another machine's files (--root) belong to it and are not touched.
    """
    if not reloads.view.kernel.can_load:
        return
    if not reloads.claim():
        log.warning("Another nestd serves this host: this one changes no module")
        return
    async with reloads.lock:
        for number, record in reloads.records.read_all().items():
            try:
                transaction = decode(record, reloads.records.boot_id)
                _check_known(reloads, number, transaction)
            except DamagedRecord as error:
                fields = about(Event.RECORD_SET_ASIDE, job=number)
                log.warning("The record of job %d is set aside: %s", number, error, extra=fields)
                reloads.records.set_aside(number)
                continue
            log.info("Job %d of before the restart: %s", number, transaction.step.value)
            if transaction.step is JobState.WAITING:
                await reloads.wait(transaction)  # it ends if a kill prevented its removal
            else:
                await _settle(reloads, transaction)
        if not reloads.records.read_all():  # unfinished transactions need the old file
            await asyncio.to_thread(_tidy, reloads.view.facts().own.place)


async def _settle(reloads: Reloads, transaction: Transaction) -> None:
    job = reloads.new_job(transaction)
    execution = reloads.execution_of(job)
    try:
        if transaction.replacement is not None:
            await asyncio.to_thread(transaction.replacement.settle)
        await _complete(reloads, execution, transaction)
    except Busy as error:
        await _wait_or_end(reloads, execution, job, transaction, str(error))
    except (NestdError, OSError) as error:
        if isinstance(error, (NotRestored, ReloadFailed, OSError)):
            reloads.unfinished.add(execution.recorded or transaction)
        reloads.end(job, error)
    else:
        reloads.end(job, None)


async def _wait_or_end(
    reloads: Reloads, execution: Execution, job: Job, transaction: Transaction, reason: str
) -> None:
    """Handle modules that were not touched, or that are loaded again as before."""
    if transaction.when is When.IDLE:
        waiting = transaction.at(JobState.WAITING)
        await execution.record(waiting, must=False)
        reloads.jobs.forget(job)
        await reloads.wait(waiting)
        return
    await execution.finish(transaction)
    reloads.end(
        job, RolledBack(f"{transaction.module} was not {_DONE[transaction.purpose]}: {reason}.")
    )


async def _complete(reloads: Reloads, execution: Execution, transaction: Transaction) -> None:
    """Finish or undo it. Raises Busy if the state is as before its start."""
    loaded = [reloads.is_loaded(name) for name in transaction.modules]
    if transaction.step is JobState.UNLOADING:
        if all(loaded):
            raise Busy(INTERRUPTED)
        if any(loaded):
            await execution.unload(transaction, reloads.gate(transaction, UNLOAD_SECONDS))
        if transaction.purpose is Purpose.UNLOAD:
            await execution.finish(transaction)
            return
        loaded = [False]
    if transaction.purpose is Purpose.LOAD:
        await Load(execution).run(transaction)
    elif transaction.step is JobState.ROLLING_BACK:
        await execution.roll_back(transaction, INTERRUPTED)
    elif not all(loaded):
        await execution.load(transaction)
    elif transaction.replacement is not None and not transaction.replacement.committed:
        # Somebody else loaded it with the old configuration.
        await execution.roll_back(transaction, INTERRUPTED)
    else:
        try:
            await execution.verify(transaction)
        except VerificationFailed as error:
            await execution.roll_back(transaction, str(error))
        await execution.finish(transaction)


def _tidy(kvm_conf: Path) -> None:
    try:
        remove_leftovers(kvm_conf)
    except OSError as error:
        log.warning("What is left beside %s stays there: %s", kvm_conf, error.strerror)


def _check_known(reloads: Reloads, number: int, transaction: Transaction) -> None:
    if transaction.job != number:
        raise DamagedRecord(f"it is the record of job {transaction.job}")
    for name in transaction.modules:
        if name not in reloads.view.modules:
            raise DamagedRecord(f"{name!r} is none of KVM's modules here")
    if transaction.replacement is not None and not transaction.replacement.is_consistent:
        raise DamagedRecord("its files do not belong together")
