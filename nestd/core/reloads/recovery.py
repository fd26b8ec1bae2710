# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nestd does at its start with the transactions that an end of nestd cut off.

A record says what was intended; how far it came is read from the host: is the module loaded, with
which values, which bytes are in kvm.conf. Every way ends finished or undone, and verified.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from nestd.core.errors import NestdError, ReloadFailed, RolledBack
from nestd.core.journal_events import Event, about
from nestd.core.model import JobState, When
from nestd.core.reloads.execution import Reload, VerificationFailed
from nestd.core.reloads.jobs import Job
from nestd.core.reloads.queue import Reloads
from nestd.core.reloads.transaction import DamagedRecord, Transaction, decode
from nestd.host.files import remove_leftovers

INTERRUPTED = "nestd was stopped in the middle of it"

log = logging.getLogger(__name__)


async def recover(reloads: Reloads) -> None:
    """Finish or undo all that was recorded; waiting jobs wait again, with their ids.

    What lies in the files of another machine is left alone: whoever made them wrote the records.
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
            job = reloads.jobs.new(
                transaction.job,
                transaction.module,
                transaction.uid,
                transaction.step,
                transaction.since or None,
            )
            if transaction.step is JobState.WAITING:
                _wait_again(reloads, job, transaction)
            else:
                await _settle(reloads, job, transaction)
        if not reloads.records.read_all():  # what is not over yet keeps the old file
            await asyncio.to_thread(_tidy, reloads.view.facts().own.place)


async def _settle(reloads: Reloads, job: Job, transaction: Transaction) -> None:
    reload = reloads.transaction(reloads.view.facts(), job)
    loaded = reloads.view.kernel.read_module(transaction.module).loaded
    if transaction.step is JobState.UNLOADING and loaded:
        # Not even unloaded: nothing has happened to the module.
        if transaction.when is When.IDLE:
            waiting = transaction.at(JobState.WAITING)
            reload.record(waiting, must=False)
            _wait_again(reloads, job, waiting)
            return
        reload.finish(transaction)
        reloads.end(job, RolledBack(f"{transaction.module} was not reloaded: {INTERRUPTED}."))
        return
    try:
        await _complete(reload, transaction, loaded)
    except NestdError as error:
        if isinstance(error, ReloadFailed):
            reloads.repair.add(transaction)
        reloads.end(job, error)
    else:
        reloads.end(job, None)


async def _complete(reload: Reload, transaction: Transaction, loaded: bool) -> None:
    if transaction.step is JobState.ROLLING_BACK:
        await reload.roll_back(transaction, INTERRUPTED)
    elif not loaded:
        await reload.load(transaction)
    elif transaction.replacement is not None and not transaction.replacement.committed:
        # Somebody else loaded it, with the configuration from before.
        await reload.roll_back(transaction, INTERRUPTED)
    else:
        try:
            await reload.verify(transaction.module, transaction.wanted)
        except VerificationFailed as error:
            await reload.roll_back(transaction, str(error))
        reload.finish(transaction)


def _wait_again(reloads: Reloads, job: Job, transaction: Transaction) -> None:
    reloads.supersede(job.module)  # one that a kill kept from being forgotten
    reloads.waiting.add(job, transaction)


def _tidy(kvm_conf: Path) -> None:
    try:
        remove_leftovers(kvm_conf)
    except OSError as error:
        log.warning("What is left beside %s stays there: %s", kvm_conf, error.strerror)


def _check_known(reloads: Reloads, number: int, transaction: Transaction) -> None:
    if transaction.job != number:
        raise DamagedRecord(f"it is the record of job {transaction.job}")
    if transaction.module not in reloads.view.modules:
        raise DamagedRecord(f"{transaction.module!r} is none of KVM's modules here")
    if transaction.replacement is not None and not transaction.replacement.is_consistent:
        raise DamagedRecord("its files do not belong together")
