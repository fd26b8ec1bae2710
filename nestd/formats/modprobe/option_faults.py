# SPDX-License-Identifier: LGPL-2.1-or-later
"""Explains why an options line does not mean what it seems to, and what to write instead."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Container, Iterator

from nestd.formats.modprobe import kernel_params
from nestd.formats.modprobe.kernel_params import Parameter

_TYPOGRAPHIC = re.compile("[\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_STOPS = (b",", b";")
_GLUED = re.compile(rb"([,;])([A-Za-z_][\w-]*)=")  # NAME=VALUE,NAME=VALUE


def faults(text: str, known: Container[str]) -> tuple[str, ...]:
    """The faults in TEXT, the options of one line, each as a sentence without a full stop.

    KNOWN are the module's parameters.
    """
    words = kernel_params.split(text.encode("utf-8", "surrogateescape"))
    uncommented = list(_until_comment(words))
    return (
        *_of_blanks(uncommented),
        *_of_stops(uncommented),
        *_of_quotes(text),
        *_of_second_module(uncommented, known),
    )


def meant_module(name: bytes, known: Collection[str]) -> str:
    """The module of KNOWN that the unknown NAME was probably meant to be; "" if there is none."""
    text = _DASHES.sub("_", name.decode("utf-8", "replace")).lower().replace("-", "_")
    text = re.sub(r"\.ko(\.[a-z]+)?$", "", text.strip(",;:\r"))
    if any(each in text for each in "*?["):
        return next((each for each in sorted(known) if fnmatch.fnmatchcase(each, text)), "")
    return text if text in known else ""


def _until_comment(words: tuple[Parameter, ...]) -> Iterator[Parameter]:
    for word in words:
        if word.name.startswith(b"#"):
            return
        yield word


def _of_blanks(words: list[Parameter]) -> Iterator[str]:
    before = ""
    for word in words:
        name = _shown(word.name)
        if word.name.startswith(b"=") and before:
            yield (
                f"there is a blank before the = of {before}, so that the kernel reads {before}"
                " without a value"
            )
        elif word.value == b"":
            yield f"there is a blank after the = of {name}, so that the kernel reads an empty value"
        before = name


def _of_stops(words: list[Parameter]) -> Iterator[str]:
    for word in words:
        shown = _shown(word.name if word.value is None else word.name + b"=" + word.value)
        glued = _GLUED.search(word.value or b"")
        if (word.value or word.name).endswith(_STOPS) or glued:
            stop = shown[-1] if glued is None else _shown(glued.group(1))
            what = "comma" if stop == "," else "semicolon"
            yield f"the {what} of {shown} belongs to the value, parameters are separated by blanks"


def _of_quotes(text: str) -> Iterator[str]:
    quotes, dashes = _TYPOGRAPHIC.findall(text), _DASHES.findall(text)
    if quotes:
        marks = " ".join(dict.fromkeys(quotes))
        yield f"typographic quotation marks ({marks}) are letters to the kernel, write none"
    elif "'" in text.partition("#")[0]:
        yield "' is a letter to the kernel and quotes nothing, write no quotation marks"
    if dashes:
        yield "a typographic dash is a letter to the kernel, write - or _"


def _of_second_module(words: list[Parameter], known: Container[str]) -> Iterator[str]:
    for word, following in zip(words, words[1:]):
        name = _shown(word.key)
        is_name = re.fullmatch(r"[a-z][a-z0-9_]{2,}", name) is not None and word.value is None
        if is_name and name not in known and not following.name.startswith(b"="):
            yield f"{name} is no parameter; another module needs an options line of its own"
            return


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
