# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a check on many generated inputs in bounded memory: hypothesis keeps all inputs of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

_BATCH = 250


def check_many(examples: int, check: Callable[..., None], *inputs: SearchStrategy[Any]) -> None:
    """Call CHECK with EXAMPLES random values of INPUTS; CHECK does its own counting."""
    for done in range(0, examples, _BATCH):
        batch = settings(
            max_examples=min(_BATCH, examples - done),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        batch(given(*inputs)(check))()
