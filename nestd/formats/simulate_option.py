# SPDX-License-Identifier: LGPL-2.1-or-later
"""The option --simulate KIND[,SITUATION...] of nestd and nestctl, for argparse. Prints nothing."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, Namespace

from nestd.formats import simulation


class ListingRequested(Exception):
    """The user gave --simulate help: print this exception's text and exit."""


class SimulateOption(Action):
    """Stores a Simulation. Raises ListingRequested for "help"."""

    offers = tuple(simulation.KINDS)
    """The words that completion offers; situations follow them."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if values == "help":
            raise ListingRequested(simulation.listing())
        try:
            setattr(namespace, self.dest, simulation.parse(str(values)))
        except ValueError as error:  # argparse shows an ArgumentError like its own errors
            raise ArgumentError(None, f"--simulate: {error}") from error
