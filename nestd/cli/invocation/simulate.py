# SPDX-License-Identifier: LGPL-2.1-or-later
"""The option --simulate KIND[,SITUATION...]."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace

from nestd.formats import simulation


class SimulateOption(Action):
    """A Simulation; with "help" the list of kinds and situations."""

    offers = tuple(simulation.KINDS)
    """What completion offers: situations go behind it."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if values == "help":
            print(simulation.listing(), end="")
            parser.exit()
        try:
            setattr(namespace, self.dest, simulation.parse(str(values)))
        except ValueError as error:
            parser.error(f"--simulate: {error}")
