# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs modules of the collection one after the other on this host, as Ansible does.

Standard input is a list of tasks in JSON, each with module, options and check; each module prints
its result as a line of JSON. Without a controller a task takes half the time.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from ansible.module_utils import basic

COLLECTION = "ansible_collections.nestd.kvm.plugins.modules"


def _run(task):
    settings = {"_ansible_check_mode": task["check"], "_ansible_diff": True}
    arguments = {"ANSIBLE_MODULE_ARGS": {**task["options"], **settings}}
    # Variables that Ansible sets in the program it sends; the second one since ansible-core 2.19.
    basic._ANSIBLE_ARGS = json.dumps(arguments).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    importlib.import_module(f"{COLLECTION}.{task['module']}").main()


def main():
    for task in json.load(sys.stdin):
        child = os.fork()
        if not child:
            _run(task)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
