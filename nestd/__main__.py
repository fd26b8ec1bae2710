# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program nestd."""

from __future__ import annotations

import sys

# Neither is used here, both are optional to what imports them, and together they cost 4 to 8 MiB.
for unused in ("gi", "ssl"):
    sys.modules[unused] = None  # type: ignore[assignment]

from nestd.daemon.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
