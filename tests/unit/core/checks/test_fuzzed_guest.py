# SPDX-License-Identifier: LGPL-2.1-or-later
"""Manager.CheckGuest with fuzzed XML: a report or an error, whatever the damage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from checked_guests import GUESTS, report
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestd.core.checks.finding import Verdict
from nestd.core.checks.situation import Situation
from nestd.core.errors import InvalidArgument

TEXTS = [path.read_text() for path in GUESTS.values()]
VALUES = st.sampled_from(
    [
        "",
        "on",
        "off",
        "kvm",
        "qemu",
        "custom",
        "host-model",
        "host-passthrough",
        "require",
        "disable",
        "forbid",
        "optional",
        "vmx",
        "svm",
        "npt",
        "sief2",
        "POWER8",
        "power9",
        "EPYC",
        "x86_64",
        "ppc64le",
        "s390x",
        "pseries",
        "\u202e\n",
        "'",
        "&amp;",
        "x" * 2000,
    ]
) | st.text(max_size=12).map(escape)
# Most results are well-formed: otherwise only the parser would be tested.
KINDS_OF_ACCIDENT = (*["value"] * 6, *["element"] * 6, "cut", "double", "noise")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A guest's XML, damaged: values replaced, parts cut or doubled, noise inserted."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(KINDS_OF_ACCIDENT))
        if kind == "value":
            values = list(re.finditer(r"='([^']*)'|>([^<>]+)<", text))
            if values:
                found = draw(st.sampled_from(values))
                group = 1 if found.group(1) is not None else 2
                text = text[: found.start(group)] + draw(VALUES) + text[found.end(group) :]
        elif kind == "element":
            elements = list(re.finditer(r"<(\w[\w:-]*)[^<>]*/>", text))
            if elements:
                found = draw(st.sampled_from(elements))
                times = draw(st.integers(0, 3))
                text = text[: found.start()] + found.group() * times + text[found.end() :]
        else:
            start = draw(st.integers(0, len(text)))
            end = min(len(text), start + draw(st.integers(0, 40)))
            new = {"cut": "", "double": text[start:end] * 2, "noise": draw(st.text(max_size=9))}
            text = text[:start] + new[kind] + text[end:]
    return text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=mutated(), kind=st.sampled_from(("intel", "amd", "power", "s390")))
def test_fuzzed_xml_is_judged_or_refused(
    text: str, kind: str, hosts: Mapping[str, Situation]
) -> None:
    try:
        found = report(text, hosts[kind])
    except InvalidArgument as error:
        message = str(error)
    else:
        message = "".join(f"{each.summary}{each.hint}" for each in found.findings)
        assert found.ready == all(each.verdict is not Verdict.FAIL for each in found.findings)
    assert message.replace("\n", "").isprintable()
