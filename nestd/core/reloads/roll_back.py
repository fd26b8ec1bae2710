# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rolls a transaction back: restores and verifies the file and the modules.

If something could not be restored, the errors say what is in effect now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from nestd.core.errors import NestdError, NotRestored, ReloadFailed, RolledBack, system_reason
from nestd.core.modules.values import differing, passable
from nestd.core.reloads.transaction import Member, Purpose, Transaction
from nestd.formats.modprobe.kernel_params import ParameterType
from nestd.host.editing.replacement import Replacement
from nestd.host.files import read_regular
from nestd.host.kernel.interface import Kernel, LoadError

DEVICE_SECONDS = 5.0

log = logging.getLogger(__name__)

Types = Mapping[str, Mapping[str, ParameterType]]
"""The parameters' types by module and parameter."""


class VerificationFailed(Exception):
    """A module's state after the load is not the expected one; the text is one sentence."""


def verify_values(kernel: Kernel, types: Types, module: str, wanted: Mapping[str, str]) -> None:
    """Verify that MODULE is loaded with WANTED. Raises VerificationFailed."""
    facts = kernel.read_module(module)
    if not facts.loaded:
        raise VerificationFailed(f"{module} is not loaded")
    wrong = differing(wanted, facts.parameters, types.get(module, {}))
    if wrong:
        said = ", ".join(f"{name}={facts.parameters.get(name, '?')}" for name in wrong)
        raise VerificationFailed(f"{module} runs with {said}, not as it was asked")


class RollBack:
    """Restores what a Transaction changed."""

    def __init__(self, kernel: Kernel, types: Types) -> None:
        self._kernel = kernel
        self._types = types

    async def run(
        self, transaction: Transaction, reason: str, *, modprobe_hangs: bool = False
    ) -> NestdError:
        """Restore and verify file and modules; returns the RolledBack to raise.

        Raises NotRestored, or ReloadFailed if a module stays unloaded.
        """
        problem = await self._restore_file(transaction)
        what = "kvm.conf was not changed"
        if transaction.purpose is not Purpose.FILE:
            await self.restore_modules(transaction, reason, modprobe_hangs=modprobe_hangs)
            what = f"{transaction.module} was not reloaded and runs as before"
        if problem:
            standing = await asyncio.to_thread(describe_file, transaction.replacement)
            raise NotRestored(
                f"{transaction.module} runs as before ({reason}), but {standing}: {problem}."
                if transaction.purpose is not Purpose.FILE
                else f"The change failed ({reason}), and {standing}: {problem}."
            )
        return RolledBack(f"{what}: {reason}.")

    async def restore_modules(
        self, transaction: Transaction, reason: str, *, modprobe_hangs: bool = False
    ) -> None:
        """Load the modules as before: from the configuration, else with only the old values.

        Writable parameters of a running module are set without a load. Raises NotRestored or
        ReloadFailed.
        """
        for member in transaction.members:
            self._write_back(member)
        if all(map(self._is_as_before, transaction.members)):
            return
        tried = []
        ways = (False, False), (True, True), (False, True)  # with old values, only these
        for explicit, only_these in ways[1:] if modprobe_hangs else ways:
            try:
                await self._load_as_before(transaction, explicit, only_these)
                break
            except Exception as error:
                if not isinstance(error, (LoadError, VerificationFailed, OSError)):
                    log.error("Unexpected error during the rollback", exc_info=error)
                tried.append(system_reason(error) if isinstance(error, OSError) else str(error))
        else:
            await self._raise_not_restored(transaction, reason, tried)
        # If this load does not create the device, no other would.
        if not await self._kernel.wait_for_device(DEVICE_SECONDS):
            name = transaction.module
            log.warning("/dev/kvm did not come back as it was before %s was reloaded", name)

    async def _restore_file(self, transaction: Transaction) -> str:
        """Put the file back; returns "" or why the new bytes are still in place."""
        try:
            if transaction.replacement is not None:
                await asyncio.to_thread(transaction.replacement.undo)
        except OSError as error:
            log.exception("The configuration could not be put back")
            return system_reason(error)
        return ""

    async def _load_as_before(
        self, transaction: Transaction, explicit: bool, only_these: bool
    ) -> None:
        for module in reversed(transaction.modules):
            await self._unload_other(module)
        for member in transaction.members:
            old = passable(member.before, self._types.get(member.module, {}))
            values = old if explicit else ()
            await self._kernel.load(member.module, values, only_these=only_these)
        for member in transaction.members:
            verify_values(self._kernel, self._types, member.module, member.before)

    def _is_as_before(self, member: Member) -> bool:
        facts = self._kernel.read_module(member.module)
        types = self._types.get(member.module, {})
        return facts.loaded and not differing(member.before, facts.parameters, types)

    def _write_back(self, member: Member) -> None:
        facts = self._kernel.read_module(member.module)
        types = self._types.get(member.module, {})
        for name in facts.writable.intersection(differing(member.before, facts.parameters, types)):
            with contextlib.suppress(OSError):  # the result is read back
                self._kernel.write_parameter(member.module, name, member.before[name])

    async def _unload_other(self, module: str) -> None:
        """Unload a member that runs with values other than before, unless it is in use."""
        if self._kernel.read_module(module).loaded:
            with contextlib.suppress(OSError):
                await self._kernel.unload(module)

    async def _raise_not_restored(
        self, transaction: Transaction, reason: str, tried: Sequence[str]
    ) -> None:
        name, ways = transaction.module, "; ".join(tried)
        missing = [
            module for module in transaction.modules if not self._kernel.read_module(module).loaded
        ]
        file = await asyncio.to_thread(describe_file, transaction.replacement)
        if missing:
            raise ReloadFailed(
                f"This host has no KVM now: {name} loads neither as asked ({reason}) nor as it ran"
                f" before ({ways}); {file}. `modprobe {missing[-1]}` was tried."
            )
        now = "; ".join(map(self._describe_module, transaction.members))
        raise NotRestored(
            f"{name} was not reloaded as asked ({reason}) and could not be put back ({ways}):"
            f" now {now}, and {file}."
        )

    def _describe_module(self, member: Member) -> str:
        facts = self._kernel.read_module(member.module)
        wrong = differing(member.before, facts.parameters, self._types.get(member.module, {}))
        values = " ".join(f"{name}={facts.parameters[name]}" for name in wrong)
        return f"{member.module} runs with {values}" if values else f"{member.module} is as before"


def describe_file(replacement: Replacement | None) -> str:
    """The present state of the file, as part of a sentence. Blocks on disk I/O."""
    if replacement is None:
        return "no file was changed"
    try:
        found = read_regular(replacement.target)
    except OSError as error:
        return f"{replacement.target} cannot be read ({error.strerror})"
    if found == replacement.expected:
        return f"{replacement.target} is as before"
    if found == replacement.data:
        return f"{replacement.target} has the new values"
    return f"{replacement.target} was changed by another program"
