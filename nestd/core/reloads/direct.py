# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes without a reload or a job: kvm.conf alone, or a running module.

They are recorded, undone and retried in the same way as reloads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from nestd.core.errors import NotRestored, RolledBack, write_failed
from nestd.core.journal_events import Event, about
from nestd.core.model import JobState, When
from nestd.core.modules.facts import HostFacts
from nestd.core.reloads import in_place
from nestd.core.reloads.queue import Reloads, log_not_restored
from nestd.core.reloads.transaction import Member, Purpose, Transaction
from nestd.host.editing.replacement import NotUndone, Replacement

log = logging.getLogger(__name__)


async def write_file(reloads: Reloads, module: str, replacement: Replacement, uid: int) -> None:
    """Write only kvm.conf, with the new bytes for MODULE, for the user UID.

    Raises OSError with the file unchanged, or NotRestored; the next start then tries again.
    """
    try:
        await asyncio.to_thread(replacement.commit)
    except NotUndone as error:
        transaction = Transaction(
            job=await _next_job(reloads),
            module=module,
            uid=uid,
            when=When.BOOT,
            step=JobState.ROLLING_BACK,
            members=(Member(module, {}, {}),),
            replacement=replacement,
            purpose=Purpose.FILE,
        )
        await reloads.keep_for_undo(transaction)
        failed = write_failed(error)
        log_not_restored(module, uid, failed)
        raise failed from error
    await asyncio.to_thread(replacement.discard)


async def set_in_place(
    reloads: Reloads,
    facts: HostFacts,
    module: str,
    values: Mapping[str, str],
    replacement: Replacement | None,
    uid: int,
) -> None:
    """Change the running MODULE and kvm.conf for the user UID, without a reload or a job.

    The change is on record meanwhile, so that the next start rolls it back after a crash.
    Raises RolledBack or OSError with nothing changed, or NotRestored.
    """
    running = facts.modules[module].parameters
    # Other values that others write until then are not touched.
    before = {name: running[name] for name in values if name in running}
    member, number = Member(module, values, before), await _next_job(reloads)
    step = JobState.ROLLING_BACK
    transaction = Transaction(number, uid, When.NOW, step, (member,), replacement, module)
    execution, types = reloads.execution(), facts.module(module).types
    try:
        await execution.record(transaction)
        kernel = reloads.view.kernel
        setting = asyncio.to_thread(
            in_place.set_in_place, kernel, module, values, types, replacement
        )
        await asyncio.shield(setting)
    except NotRestored as error:
        await reloads.keep_for_undo(transaction)
        log_not_restored(module, uid, error)
        raise
    except BaseException as error:
        if isinstance(error, RolledBack):
            _log_rolled_back(transaction, error)
        await execution.finish(transaction)
        raise
    await execution.finish(transaction)


def _log_rolled_back(transaction: Transaction, error: RolledBack) -> None:
    module, uid = transaction.module, transaction.uid
    fields = about(Event.RELOAD_ROLLED_BACK, module=module, job=transaction.job, caller_uid=uid)
    log.warning("User %d was to change %s as it runs: %s", uid, module, error, extra=fields)


async def _next_job(reloads: Reloads) -> int:
    return await asyncio.to_thread(reloads.records.next_job)
