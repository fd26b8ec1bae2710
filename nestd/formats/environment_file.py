# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of EnvironmentFile= in systemd's units, such as /etc/default/libvirtd (systemd.exec(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ASSIGNMENT = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_PIECE = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'([^']*)'|\\(.)|([^\"'\\]+)|.")


def parse(data: bytes) -> Mapping[str, str]:
    """The variables and their values; the last of several assignments counts.

    A quoted value must end on its line here; lines that systemd would not understand are skipped.
    """
    text = data.decode("utf-8", "surrogateescape").replace("\\\n", "")
    found = (_ASSIGNMENT.fullmatch(line) for line in re.split("[\r\n]+", text))
    return {each[1]: _unquoted(each[2].strip(" \t")) for each in found if each}


def _unquoted(value: str) -> str:
    return "".join(
        re.sub(r"\\(.)", r"\1", double) if double else single or escaped or plain
        for double, single, escaped, plain in _PIECE.findall(value)
    )
