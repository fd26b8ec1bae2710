# SPDX-License-Identifier: LGPL-2.1-or-later
"""Modules that are unloaded and loaded together: kvm and the vendor's module that uses it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from nestd.core.modules.facts import HostFacts, KvmModule
from nestd.core.modules.obstacles import preventing
from nestd.core.modules.values import NESTED, as_text, differing
from nestd.core.reloads.transaction import Member, Purpose, Transaction
from nestd.formats.modprobe.load_obstacle import LoadObstacle, sentence
from nestd.host.kernel.interface import Kernel


def users(facts: HostFacts, module: str) -> tuple[str, ...]:
    """KVM's own modules that use MODULE now and must be unloaded before it."""
    return tuple(name for name in facts.modules[module].holders if name in facts.modules)


def in_use(kernel: Kernel, modules: Collection[str]) -> bool:
    """Whether anything other than MODULES themselves uses one of them now."""
    for name in modules:
        running = kernel.read_module(name)
        along = sum(holder in modules for holder in running.holders)
        if running.refcount > along:
            return True
    return False


def first_prevented(facts: HostFacts, module: str) -> tuple[str, LoadObstacle] | None:
    """The first module of MODULE's chain that could not be loaded again, and why."""
    for name in (module, *users(facts, module)):
        obstacle = preventing(facts.module(name))
        if obstacle is not None:
            return name, obstacle
    return None


def reload_members(facts: HostFacts, module: str, wanted: Mapping[str, str]) -> tuple[Member, ...]:
    """The members of a reload of MODULE with the values WANTED, in loading order.

    Dependent modules get the values of their next load; their "nested" is verified.
    """
    own = Member(module, wanted, facts.modules[module].parameters)
    return _complete(facts, {module: own})


def unload_members(facts: HostFacts, module: str) -> tuple[Member, ...]:
    """The members of an unload of MODULE: also modules that use it or that only it needs."""
    names = {module, *users(facts, module)}
    for name in facts.modules:
        used = facts.modules[name]
        if used.loaded and used.holders and names.issuperset(used.holders):
            names.add(name)
    return tuple(
        Member(name, {}, facts.modules[name].parameters, asked=name == module)
        for name in _in_load_order(facts, names)
        if facts.modules[name].loaded or name == module
    )


def refreshed(facts: HostFacts, transaction: Transaction) -> Transaction:
    """Adapt a waiting transaction to the present host, whose loaded modules may have changed."""
    if transaction.purpose is Purpose.UNLOAD:
        return replace(transaction, members=unload_members(facts, transaction.module))
    asked = {
        member.module: replace(member, before=facts.modules[member.module].parameters)
        for member in transaction.members
        if member.asked
    }
    return replace(transaction, members=_complete(facts, asked))


def joined(facts: HostFacts, new: Transaction, waiting: Transaction) -> Transaction:
    """Merge a NEW transaction with a WAITING one for some of the same modules."""
    if Purpose.UNLOAD in (new.purpose, waiting.purpose):
        return new  # the later request wins
    members = {member.module: member for member in waiting.members}
    for member in new.members:
        earlier = members.get(member.module)
        if member.asked or earlier is None or not earlier.asked:
            members[member.module] = member
    order = _in_load_order(facts, members)
    return replace(new, members=tuple(members[name] for name in order))


def without(transaction: Transaction, modules: Collection[str]) -> Transaction | None:
    """The transaction without MODULES, handled elsewhere; None if nothing remains."""
    if transaction.asked <= set(modules) or transaction.purpose is not Purpose.RELOAD:
        return None
    return replace(
        transaction,
        members=tuple(
            replace(member, wanted={}, asked=False) if member.module in modules else member
            for member in transaction.members
        ),
    )


def hindrance(facts: HostFacts, transaction: Transaction) -> str:
    """One sentence on why a waiting job can no longer do its request; "" if it can."""
    subject = facts.module(transaction.module)
    if not subject.running.loaded:
        return f"{subject.name} was unloaded meanwhile."
    if transaction.purpose is Purpose.UNLOAD:
        return ""
    found = (_member_hindrance(facts.module(each.module), each) for each in transaction.members)
    return next(filter(None, found), "")


def _member_hindrance(module: KvmModule, member: Member) -> str:
    name = module.name
    obstacle = preventing(module)
    if obstacle is not None:
        return sentence(name, obstacle)
    if not module.running.on_disk:
        return f"{name} could not be loaded again: its file was removed meanwhile."
    coming = as_text(module.next_values)
    lost = set(differing(member.wanted, coming, module.types))
    lost |= member.wanted.keys() - coming.keys()
    if not lost:
        return ""
    asked = ", ".join(f"{parameter}={member.wanted[parameter]}" for parameter in sorted(lost))
    return f"{name} would no longer be loaded with {asked}: that was changed meanwhile."


def _complete(facts: HostFacts, asked: Mapping[str, Member]) -> tuple[Member, ...]:
    names = set(asked)
    for module in asked:
        names.update(users(facts, module))
    return tuple(
        asked.get(name) or _along(facts.module(name)) for name in _in_load_order(facts, names)
    )


def _along(module: KvmModule) -> Member:
    following = as_text(module.next_values)
    nested = {name: value for name, value in following.items() if name == NESTED}
    return Member(module.name, nested, module.running.parameters, asked=False)


def _in_load_order(facts: HostFacts, names: Collection[str]) -> list[str]:
    """NAMES in loading order, the reverse of the order of modules in HostFacts."""
    return [name for name in reversed(tuple(facts.modules)) if name in names]
