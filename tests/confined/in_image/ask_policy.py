# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queries a linked SELinux policy: ask_policy.py POLICY, with questions and answers as JSON.

A question is [source, target, class, permission]; a target of "" is any. The answers are true,
false, or null if the policy has no such source or target.
"""

from __future__ import annotations

import json
import sys

import setools


def main() -> None:
    policy = setools.SELinuxPolicy(sys.argv[1])
    print(json.dumps([_answer(policy, *question) for question in json.load(sys.stdin)]))


def _answer(
    policy: setools.SELinuxPolicy, source: str, target: str, tclass: str, permission: str
) -> bool | None:
    for name in filter(None, (source, target)):
        try:
            policy.lookup_type_or_attr(name)
        except setools.exception.InvalidType:
            return None
    query = setools.TERuleQuery(
        policy, ruletype=["allow"], source=source, tclass=[tclass], perms=[permission]
    )
    if target:
        query.target = target
    return any(True for _ in query.results())


if __name__ == "__main__":
    main()
