# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the guest: runs the test_* functions in this directory in order, and reports each.

After each test, restore() of its file undoes what the test may have changed.

It prints a line on the console per test and event, in the format of results.py. pytest would take
longer to start than the tests take, since the processor is emulated.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable

import service


def main() -> None:
    service.start()
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in list(vars(module).items()):
            if name.startswith("test_"):
                _run(f"{path.name}::{name}", function)
                module.restore()
    service.kill()


def _run(name: str, function: Callable[[], None]) -> None:
    _report(test=name, start=True)
    started, text = time.monotonic(), ""
    try:
        function()
    except Exception:
        text = f"{traceback.format_exc()}\n--- nestd's log ---\n{service.log()}"
    seconds = round(time.monotonic() - started, 1)
    outcome = "failed" if text else "passed"
    _report(test=name, outcome=outcome, seconds=seconds, text=text, properties=[])


def _report(**entry: Any) -> None:
    # On its own line even after other output; the final newline shows that it is complete.
    sys.stdout.write(f"\n{json.dumps(entry)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
