# SPDX-License-Identifier: LGPL-2.1-or-later
"""Selects the tests that run.

    pytest                    the tier "unit"; the tests of the slow tiers are shown as skipped
    pytest --tier vm          the tests of one tier; may be given several times
    pytest --tier all         everything

A selected test that needs something the system lacks is skipped, and the reason names it. With
CI=true in the environment it fails instead.
"""

from __future__ import annotations

import pytest
import tiers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tier",
        action="append",
        choices=(*tiers.TIERS, "all"),
        help="run the tests of this tier only (default: unit)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, tier in tiers.TIERS.items():
        config.addinivalue_line("markers", f"{name}: {tier.about}")
    config.addinivalue_line(
        "markers", "needs(name, ...): uses a program or library, if it is there"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("--tier")
    if asked is None:
        for item in items:
            if _tier(item) != "unit":
                item.add_marker(pytest.mark.skip(reason=_how_to_run(_tier(item))))
    elif "all" not in asked:
        config.hook.pytest_deselected(items=[item for item in items if _tier(item) not in asked])
        items[:] = [item for item in items if _tier(item) in asked]


def pytest_runtest_setup(item: pytest.Item) -> None:
    names = [name for mark in item.iter_markers("needs") for name in mark.args]
    words = tiers.missing(_tier(item), names)
    if words:
        tiers.lacking(words)


def _tier(item: pytest.Item) -> str:
    return next((mark.name for mark in item.iter_markers() if mark.name in tiers.TIERS), "unit")


def _how_to_run(tier: str) -> str:
    words = tiers.TIERS[tier].missing()
    how = f"slow: run it with pytest --tier {tier}"
    return f"{how}, which needs {', '.join(words)}" if words else how
