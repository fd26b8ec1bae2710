# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs nestctl on the managed host for the modules of this collection.

Every answer of nestctl --json is a JSON object; a refusal has the key "error".
"""

from __future__ import annotations

import json

# The error by exit status, if nestctl could print no object.
_NAMES = {
    2: "org.freedesktop.DBus.Error.InvalidArgs",
    3: "org.nestd1.Error.Busy",
    4: "org.freedesktop.DBus.Error.AccessDenied",
    5: "org.freedesktop.DBus.Error.ServiceUnknown",
}
_OTHER = "org.freedesktop.DBus.Error.Failed"
BUSY = "org.nestd1.Error.Busy"
INHIBITED = "org.nestd1.Error.Inhibited"


class Refused(Exception):
    """nestd's refusal: the D-Bus error's name, one sentence, and the blockers."""

    def __init__(self, name, text, blockers=()):
        super().__init__(text)
        self.name = name
        self.text = text
        self.blockers = list(blockers)

    def fail(self, module, **result):
        """End the task with this refusal."""
        error = {"name": self.name, "text": self.text, "blockers": self.blockers}
        module.fail_json(msg=self.text, error=error, **result)


class Nestctl:
    """Runs nestctl without password prompts, since nobody is there to answer them."""

    def __init__(self, module):
        self._module = module
        hint = "Install nestd's command line: the package nestctl."
        self._program = module.get_bin_path("nestctl", required=False)
        if self._program is None:
            module.fail_json(msg="There is no nestctl on this host. " + hint)

    def json(self, *words, **options):
        """The JSON object that a command prints; data is its standard input. Raises Refused.

        A failed check (nestctl exits with 1) is an answer, not a refusal.
        """
        command = [self._program, "--no-ask-password", *words, "--json"]
        environment = {"LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
        status, output, errors = self._module.run_command(
            command, data=options.get("data"), environ_update=environment
        )
        try:
            found = json.loads(output)
        except ValueError:
            found = None
        if isinstance(found, dict) and "error" in found:
            error = found["error"]
            raise Refused(error["name"], error["text"], error.get("blockers", ()))
        if isinstance(found, dict):
            return found
        raise Refused(_NAMES.get(status, _OTHER), _sentence(errors))


def _sentence(errors):
    """nestctl's error message: the line that begins with its name and a colon."""
    lines = errors.strip().splitlines() or ["nestctl printed no JSON."]
    found = [line.partition(": ")[2] for line in lines if line.startswith("nestctl")]
    return next((text for text in found if text), lines[-1])
