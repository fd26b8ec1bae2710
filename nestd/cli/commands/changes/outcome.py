# SPDX-License-Identifier: LGPL-2.1-or-later
"""Describes the result of a change from the state afterwards, never from the request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from nestd.cli.invocation.session import Session
from nestd.cli.screen import formatting, state
from nestd.cli.screen.elements import GOOD, STRONG, WARN, Columns, columns, indented
from nestd.cli.service.errors import CliError
from nestd.cli.service.values import Blocker, Host, Job, Module, Plan

_REFUSED = "would be refused"
_OVERRIDES = f" overrides {formatting.KVM_CONF}"
_AS_REQUESTED = "everything is as requested already"


def what_happened(before: Module, after: Module, when: str, reloaded: bool) -> str:
    """One sentence about what was done."""
    name = after.name
    if reloaded and not after.loaded:
        return f"{name} was unloaded: the processor is free for others until nestctl load {name}."
    if reloaded:
        return f"{name} was reloaded, and verified."
    if not changed(before, after):
        return "Nothing to do."
    if before.parameters != after.parameters:
        return f"{name} applied it at once, without a reload. Running VMs keep what they have."
    if not after.loaded:
        return f"Written to {formatting.KVM_CONF}; {name} is not loaded."
    if when == "boot":
        return f"Written to {formatting.KVM_CONF} for the next boot; {name} keeps running as it is."
    return f"Written to {formatting.KVM_CONF}; {name} needs no reload for it."


def changed(before: Module, after: Module) -> bool:
    """Whether anything but the module's users is different."""
    return before._replace(refcount=0) != after._replace(refcount=0)


def show(session: Session, host: Host, name: str, parameters: Collection[str], done: str) -> None:
    """Print what was done and the current state."""
    module = host.modules[name]
    session.screen.say((done, GOOD))
    if module is host.main and list(parameters) in ([], [formatting.NESTED]):
        session.screen.say((state.headline(host), STRONG))
    elif parameters:
        session.screen.show(_parameters(module, parameters))


def show_side_effect(
    session: Session, before: Module, after: Module, parameters: Collection[str]
) -> None:
    """Print that "nested" has changed, or will change, as a side effect of other parameters."""
    if formatting.NESTED in parameters or not parameters:
        return
    if before.nested != after.nested and "unknown" not in (before.nested, after.nested):
        now, was = formatting.on_off(after.nested), formatting.on_off(before.nested)
        session.screen.warn(f"Nested virtualization is {now} with this; it was {was}.")
    elif before.nested_at_boot != after.nested_at_boot:
        was, will = (
            formatting.on_off(before.nested_at_boot),
            formatting.on_off(after.nested_at_boot),
        )
        text = f"Nested virtualization will be {will} after a reboot with this; it would be {was}."
        session.screen.warn(text)


def show_job(
    session: Session, job: Job | None, blockers: tuple[Blocker, ...], *, written: bool
) -> None:
    """Print that a reload will follow later."""
    screen = session.screen
    if job is not None and not job.blockers:
        job = job._replace(blockers=blockers)  # nestd has not looked for blockers yet
    if written:
        screen.say(f"Written to {formatting.KVM_CONF}.")
    if job is None:
        return
    screen.say((f"{formatting.job(job)}.", STRONG))
    screen.say("Nothing is stopped for it. To watch it, or to cancel it:")
    screen.commands("nestctl watch", f"nestctl cancel {job.id}")


def explain_interrupt(session: Session, number: int) -> None:
    """Print what Ctrl-C does while nestctl waits for a job."""
    if session.private:
        text = f"Ctrl-C ends the wait and nestd; {formatting.KVM_CONF} stays as written."
    else:
        text = f"Ctrl-C ends nestctl only: job {number} goes on."
    session.screen.note(text)


def _parameters(module: Module, names: Iterable[str]) -> Columns:
    rows = []
    for name in names:
        winner = module.decides(name)
        following = winner.value if winner else "kernel's default"
        place = winner.place if winner else "-"
        running = module.parameters.get(name, "-")
        rows.append((name, formatting.plain(running), formatting.plain(following), place))
    return columns(["PARAMETER", "RUNNING", "NEXT LOAD", "DECIDED BY"], rows)


def blockers_table(blockers: Sequence[Blocker]) -> Columns:
    """The blockers of a reload as a table."""
    rows = [
        (each.kind, each.name, str(each.pid) if each.pid else "-", each.detail) for each in blockers
    ]
    return columns(["KIND", "NAME", "PID", "WHAT"], rows)


def show_plan(session: Session, plan: Plan, when: str) -> None:
    """Print what a change would do."""
    screen = session.screen
    if plan.steps:
        screen.say(("What would be done:", STRONG))
        steps = enumerate(plan.steps, start=1)
        screen.show(indented(*(f"{number}. {step}" for number, step in steps)))
    elif plan.refusal is not None:
        screen.say(f"Nothing would be done: this would be refused. {plan.refusal.text}")
    else:
        lost = any(_OVERRIDES in warning for warning in plan.warnings)
        done = f"{formatting.KVM_CONF} says so already" if lost else _AS_REQUESTED
        screen.say(f"Nothing would be done: {done}.")
    if plan.diff:
        screen.say("")
        screen.diff(plan.diff)
    if plan.blockers:
        screen.say("")
        text = {"now": "In the way now, so it would be refused:", "idle": "Waited for:"}
        screen.say((text.get(when, "In the way of a reload now:"), WARN))
        screen.show(blockers_table(plan.blockers))
    for warning in plan.warnings:
        if plan.steps or not _repeats_refusal(warning, plan):
            screen.warn(warning)


def _repeats_refusal(warning: str, plan: Plan) -> bool:
    """Whether a warning only repeats the refusal."""
    if plan.refusal is None:
        return False
    return _REFUSED in warning or warning.rstrip(".") in plan.refusal.text


def explain_blocked(
    session: Session, refused: CliError, module: str, blockers: Sequence[Blocker]
) -> None:
    """Print what is in the way to standard error."""
    if not blockers:
        session.screen.failure(CliError(f"{refused.text} Nothing was changed."))
        return
    session.screen.failure(CliError(f"{module} is in use. Nothing was changed."))
    session.screen.show_aside(blockers_table(blockers))


def offer(session: Session, again: str, *, boot: bool) -> None:
    """Print the alternatives to standard error."""
    session.screen.note("What you can do instead:")
    choices = [(f"{again} --when-idle", "done automatically when these have ended")]
    choices += [(f"{again} --at-boot", "used from the next boot on")] if boot else []
    session.screen.choices(choices)
