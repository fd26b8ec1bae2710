# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real polkitd with the shipped actions: rules, prompts, and callers that need none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import polkit
import pytest
import tiers
from callers import CHALLENGED, DENIED, DONE, User, user
from private_bus import PrivateBus
from running_nestd import BUS_NAME, MANAGER, ROOT, Nestd
from users import nobody

from nestd.bus.authorization import Action
from nestd.dbus.connection.transport import Connection
from nestd.dbus.values import Call, Route, Variant

POLICY = Path(__file__).parents[2] / "systemd" / "org.nestd1.policy"
LIBVIRTD, LOG_DAEMON = f"{ROOT}/log/libvirtd", "org.nestd1.LogDaemon"
AGENT = "org.freedesktop.PolicyKit1.AuthenticationAgent"
AGENT_METHODS = {"BeginAuthentication": "sssa{ss}sa(sa{sv})", "CancelAuthentication": "s"}
SECONDS = 10

pytestmark = pytest.mark.needs("pkaction", "/usr/lib/polkit-1/polkitd")


def rule(condition: str) -> str:
    """A rule that allows the user "nobody" the actions that meet the condition."""
    return (
        "polkit.addRule(function(action, subject) {"
        f"if (subject.user == 'nobody' && ({condition})) return polkit.Result.YES; }});"
    )


def as_nobody(bus: PrivateBus, test: Callable[[User], Awaitable[None]]) -> None:
    async def body() -> None:
        async with user(bus, nobody()) as stranger:
            await test(stranger)

    asyncio.run(body())


def test_root_may_and_others_are_challenged(bus: PrivateBus, intel: Nestd, tmp_path: Path) -> None:
    async def test(stranger: User) -> None:
        assert await stranger.set_nested(False) == CHALLENGED
        assert await stranger.set_nested(False, interactive=True) == CHALLENGED  # no agent
        assert await stranger.reload() == CHALLENGED
        assert await stranger.inhibit() == CHALLENGED
        assert await stranger.set_log_level("debug") == CHALLENGED
        async with user(bus, 0) as root:
            assert await root.set_nested(False) == DONE
            assert await root.inhibit() == DONE
            assert await root.set_log_level("debug") == DONE

    with polkit.real(bus.address, tmp_path, [POLICY]):
        as_nobody(bus, test)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("action.id == 'org.nestd1.configure-modules'", (DONE, CHALLENGED, CHALLENGED)),
        ("action.lookup('module') == 'kvm_intel'", (DONE, DONE, CHALLENGED)),
        ("action.lookup('module') == 'kvm_amd'", (CHALLENGED, CHALLENGED, CHALLENGED)),
        ("action.id == 'org.nestd1.inhibit'", (CHALLENGED, CHALLENGED, DONE)),
        ("action.lookup('who') == 'backup'", (CHALLENGED, CHALLENGED, DONE)),
        ("action.id == 'org.nestd1.manage'", (DONE, DONE, DONE)),
    ],
)
def test_rules(
    bus: PrivateBus, intel: Nestd, tmp_path: Path, condition: str, expected: tuple[str, ...]
) -> None:
    async def test(stranger: User) -> None:
        found = [
            await stranger.set_nested(False, "boot"),
            await stranger.reload(),
            await stranger.inhibit(),
        ]
        assert tuple(found) == expected

    with polkit.real(bus.address, tmp_path, [POLICY], rule(condition)):
        as_nobody(bus, test)


def test_actions_that_polkit_does_not_know_are_denied(
    bus: PrivateBus, intel: Nestd, tmp_path: Path
) -> None:
    async def test(stranger: User) -> None:
        assert await stranger.set_nested(False) == DENIED
        assert await stranger.reload() == DENIED
        async with user(bus, 0) as root:
            assert await root.reload() == DONE

    with polkit.real(bus.address, tmp_path, [], rule("true")):
        as_nobody(bus, test)


def test_every_action_is_shipped(bus: PrivateBus, tmp_path: Path) -> None:
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": bus.address, "PATH": tiers.SEARCH_PATH}
    with polkit.real(bus.address, tmp_path, [POLICY]):
        known = subprocess.run(["pkaction"], env=environment, capture_output=True, text=True)
        log = (tmp_path / "polkitd.log").read_text()
    assert known.stdout.split() == sorted(action.value for action in Action)
    assert "rror" not in log


@pytest.mark.parametrize(
    ("language", "words"), [("de_DE.UTF-8", "Legitimierung"), ("zh_CN", "认证")]
)
def test_a_prompt_is_in_the_language_of_its_reader(
    language: str, words: str, bus: PrivateBus, tmp_path: Path
) -> None:
    command = ["busctl", f"--address={bus.address}", "--json=short", "call", polkit.NAME]
    command += [polkit.PATH, polkit.AUTHORITY, "EnumerateActions", "s", language]
    with polkit.real(bus.address, tmp_path, [POLICY]):
        known = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    prompts = [action[2] for action in json.loads(known.stdout)["data"][0]]
    assert len(prompts) == len(Action)
    assert all(words in prompt for prompt in prompts), prompts


class Agent:
    """An agent that gets polkit's prompts for the user of this process, and records them."""

    def __init__(self, connection: Connection, answers: bool) -> None:
        self.connection = connection
        self.prompts: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
        self.withdrawn: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
        self._answers = answers
        connection.on_call(self._resolve)

    def _resolve(self, path: str, interface: str, member: str) -> Route:
        run = self._begin if member == "BeginAuthentication" else self._cancel
        return Route(AGENT, AGENT_METHODS[member], "", run)

    async def _begin(self, call: Call) -> tuple[()]:
        self.prompts.put_nowait(call.args)
        if not self._answers:
            await asyncio.sleep(SECONDS)
        cookie, identity = call.args[4], ("unix-user", {"uid": Variant("u", 0)})
        await self.ask("AuthenticationAgentResponse2", "us(sa{sv})", 0, cookie, identity)
        return ()

    async def _cancel(self, call: Call) -> tuple[()]:
        self.withdrawn.put_nowait(call.args)
        return ()

    async def ask(self, member: str, signature: str, *args: object) -> None:
        await self.connection.call(
            polkit.NAME, polkit.PATH, polkit.AUTHORITY, member, signature, args
        )


@contextlib.asynccontextmanager
async def agent(bus: PrivateBus, *, answers: bool) -> AsyncIterator[Agent]:
    """An agent for the clients in this process that run as nobody; it knows root's password."""
    connection = await Connection.connect(bus.address)
    found = Agent(connection, answers)
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    process = {"pid": Variant("u", os.getpid()), "start-time": Variant("t", started)}
    subject = ("unix-process", {**process, "uid": Variant("i", nobody())})
    await found.ask("RegisterAuthenticationAgent", "(sa{sv})ss", subject, "C", "/agent")
    try:
        yield found
    finally:
        connection.close()


def test_a_prompt_names_the_module(bus: PrivateBus, intel: Nestd, tmp_path: Path) -> None:
    async def test(stranger: User) -> None:
        async with agent(bus, answers=True) as shown:
            assert await stranger.set_nested(False) == CHALLENGED
            assert shown.prompts.empty()
            assert await stranger.set_nested(False, interactive=True) == DONE
            texts = [shown.prompts.get_nowait()[:2] for _ in range(shown.prompts.qsize())]
            assert texts == [
                (
                    "org.nestd1.reload-modules",
                    "Authentication is required to change the options of the kernel module"
                    " kvm_intel and reload it.",
                ),
            ]
            # auth_admin_keep: no second prompt for some minutes.
            assert await stranger.set_nested(True, interactive=True) == DONE
            assert shown.prompts.empty()
            assert await stranger.set_nested(False, "boot", interactive=True) == DONE
            assert shown.prompts.empty()
            assert shown.prompts.empty()

    with polkit.real(bus.address, tmp_path, [POLICY]):
        as_nobody(bus, test)


def test_a_prompt_names_the_daemon(bus: PrivateBus, beside_libvirtd: Nestd, tmp_path: Path) -> None:
    async def test(stranger: User) -> None:
        async def ask(member: str, signature: str, *args: object) -> str:
            return await stranger.ask(
                LIBVIRTD, LOG_DAEMON, member, signature, *args, interactive=True
            )

        async with agent(bus, answers=True) as shown:
            assert await ask("SetFilters", "ssa{sv}", "1:qemu", "start", {}) == DONE
            # It is authorized, but the sleeping process cannot do it.
            unavailable = "org.nestd1.Error.DaemonUnavailable"
            assert await ask("StartDebug", "sua{sv}", "1:qemu", 60, {}) == unavailable
            texts = [shown.prompts.get_nowait()[:2] for _ in range(shown.prompts.qsize())]
        assert texts == [
            (
                "org.nestd1.configure-logs",
                "Authentication is required to change the log settings of libvirtd.",
            ),
            (
                "org.nestd1.debug-logs",
                "Authentication is required to start or stop the debug logs of libvirtd.",
            ),
        ]

    with polkit.real(bus.address, tmp_path, [POLICY]):
        as_nobody(bus, test)


@pytest.mark.usefixtures("intel")
def test_a_prompt_to_inhibit(bus: PrivateBus, tmp_path: Path) -> None:
    async def test(stranger: User) -> None:
        async with agent(bus, answers=True) as shown:
            [guard] = await stranger.connection.call(
                BUS_NAME,
                ROOT,
                MANAGER,
                "Inhibit",
                "ss",
                ("backup", "it runs"),
                interactive=True,
                take_descriptor=True,
            )
            os.close(int(str(guard)))
            # Not "who": the caller chooses that text, and rules may check it.
            assert shown.prompts.get_nowait()[:2] == (
                "org.nestd1.inhibit",
                "Authentication is required to hold up reloads of the KVM modules.",
            )
            assert shown.prompts.empty()

    with polkit.real(bus.address, tmp_path, [POLICY]):
        as_nobody(bus, test)


def test_a_prompt_goes_when_its_caller_does(bus: PrivateBus, intel: Nestd, tmp_path: Path) -> None:
    async def test(stranger: User) -> None:
        async with agent(bus, answers=False) as shown:
            async with user(bus, nobody()) as leaving:
                call = asyncio.ensure_future(leaving.set_nested(False, interactive=True))
                cookie = (await asyncio.wait_for(shown.prompts.get(), SECONDS))[4]
            await call
            assert await asyncio.wait_for(shown.withdrawn.get(), SECONDS) == (cookie,)
            assert b"options kvm_intel nested=0" not in intel.kvm_conf.read_bytes()
            assert await stranger.set_nested(False) == CHALLENGED

    with polkit.real(bus.address, tmp_path, [POLICY]):
        as_nobody(bus, test)
