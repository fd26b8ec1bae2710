# SPDX-License-Identifier: LGPL-2.1-or-later
"""Applies a hint of CheckGuest to a domain's XML, as an administrator would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_ADD = re.compile(r"With virsh edit (?:\S+|'.*'), add this inside <([\w:]+)>:\n(.*)", re.DOTALL)
_REPLACE = re.compile(r"With virsh edit (?:\S+|'.*'), replace (.*?) by this:\n(.*)", re.DOTALL)
_REMOVE = re.compile(r"With virsh edit (?:\S+|'.*'), remove (.*)\.")


def follow(hint: str, text: str) -> str:
    """TEXT after the hint's change. Raises ValueError for a hint that is not understood."""
    root = ElementTree.fromstring(text)
    if found := _ADD.fullmatch(hint):
        _add(root, *found.groups())
    elif found := _REPLACE.fullmatch(hint):
        _replace(root, *found.groups())
    elif found := _REMOVE.fullmatch(hint):
        _remove(root, found.group(1))
    else:
        raise ValueError(f"what is to be done is not clear: {hint}")
    return ElementTree.tostring(root, encoding="unicode")


def _add(root: Element, parent: str, xml: str) -> None:
    if parent == "qemu:commandline":
        [element] = (each for each in root if each.tag.endswith("}commandline"))
        namespace = element.tag.partition("}")[0].lstrip("{")
        element.extend(ElementTree.fromstring(f"<_ xmlns:qemu='{namespace}'>{xml}</_>"))
        return
    element = root if parent == "domain" else _one(root, parent)
    if (new := ElementTree.fromstring(xml)) is not None:
        assert element.find(new.tag) is None or new.tag == "feature", (
            f"there is a {new.tag} already"
        )
        element.append(new)


def _replace(root: Element, what: str, xml: str) -> None:
    if what == "the last argument after -cpu in <qemu:commandline>":
        values = [each for each in root.iter() if each.tag.endswith("}arg")]
        place = max(i for i, each in enumerate(values) if each.get("value") in ("-cpu", "--cpu"))
        new = ElementTree.fromstring(xml.replace("<qemu:arg", "<arg"))
        values[place + 1].set("value", str(new.get("value")))
    elif found := re.fullmatch(r"(?:the line|all lines) with name='([\w-]+)' in <cpu>", what):
        cpu = _one(root, "cpu")
        for each in list(_named(cpu, found.group(1))):
            cpu.remove(each)
        cpu.append(ElementTree.fromstring(xml))
    elif found := re.fullmatch(r"the <(\w+)> tag", what):
        element = root if found.group(1) == "domain" else _one(root, found.group(1))
        tag = ElementTree.fromstring(f"{xml}</{element.tag}>")
        element.attrib.clear()
        element.attrib.update(tag.attrib)
    elif found := re.fullmatch(r"(\w+)= in its <type>", what):
        name, value = xml.rstrip("'").split("='")
        assert name == found.group(1)
        _one(root, "os/type").set(name, value)
    else:
        _replace_element(root, what, ElementTree.fromstring(xml))


def _replace_element(root: Element, what: str, new: Element) -> None:
    place = {
        "<cpu>": ".",
        "its <type> in <os>": "os",
        "<model> in <cpu>": "cpu",
        "<nested-hv> in <features>": "features",
        "<hidden state='on'/> in <features>": "features/kvm",
    }[what]
    parent = _one(root, place)
    parent.remove(_one(parent, new.tag))
    parent.append(new)


def _remove(root: Element, what: str) -> None:
    if found := re.fullmatch(r"from <cpu> the line with name='([\w-]+)'", what):
        cpu = _one(root, "cpu")
        for each in list(_named(cpu, found.group(1))):
            cpu.remove(each)
    elif what == "<hugepages> from its <memoryBacking>":
        parent = _one(root, "memoryBacking")
        parent.remove(_one(parent, "hugepages"))
    elif what == "its <launchSecurity> element":
        root.remove(_one(root, "launchSecurity"))
    else:
        raise ValueError(f"what is to be removed is not clear: {what}")


def _named(cpu: Element, name: str) -> Iterator[Element]:
    return (each for each in cpu.findall("feature") if each.get("name") == name)


def _one(element: Element, path: str) -> Element:
    found = element.findall(path)
    assert len(found) == 1, f"there is no single {path}"
    return found[0]
