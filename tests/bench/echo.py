# SPDX-License-Identifier: LGPL-2.1-or-later
"""The baseline for Get and GetAll: a bare dbus-next service that returns fixed values."""

import asyncio
import sys

from dbus_next import PropertyAccess, Variant
from dbus_next.aio import MessageBus
from dbus_next.service import ServiceInterface, dbus_property, method

NAME, PATH = "org.example.Echo", "/org/example/Echo"
PROPERTIES = 15  # as many properties as a Module has


class Echo(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(NAME)

    @method()
    def Echo(self, first: "s", second: "s") -> "v":  # noqa: F821
        return Variant("s", second)


def _with_properties(count: int) -> ServiceInterface:
    def get(self: ServiceInterface) -> "s":  # noqa: F821
        return "yes"

    members = {}
    for number in range(count):
        get.__name__ = f"Value{number}"
        members[get.__name__] = dbus_property(access=PropertyAccess.READ)(get)
    return type("Values", (ServiceInterface,), members)(f"{NAME}.Values")


async def main(address: str) -> None:
    bus = await MessageBus(bus_address=address).connect()
    bus.export(PATH, Echo())
    bus.export(PATH, _with_properties(PROPERTIES))
    await bus.request_name(NAME)
    print("ready", flush=True)
    await bus.wait_for_disconnect()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
