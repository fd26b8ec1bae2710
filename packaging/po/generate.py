#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts the translations of polkit's prompts and the journal catalog into the files that use them.

    packaging/po/generate.py     after a change of a .po file, a prompt or the catalog; needs msgfmt

systemd/org.nestd1.policy and systemd/nestd.catalog are the English sources. nestd.pot and the empty
entries in .po files are made from them; the translations in the .policy file and
systemd/nestd.LANGUAGE.catalog are made from the .po files. All files are kept in the source, so a
build needs no gettext.

A paragraph of the catalog is one message with its line breaks; lines have at most 76 columns.
"""

from __future__ import annotations

import gettext
import io
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
SYSTEMD = HERE.parents[1] / "systemd"
POLICY = SYSTEMD / "org.nestd1.policy"
CATALOG = SYSTEMD / "nestd.catalog"
TEMPLATE = HERE / "nestd.pot"
LANGUAGES = ("de", "zh_CN")
HEADER = """\
# SPDX-License-Identifier: LGPL-2.1-or-later
msgid ""
msgstr ""
"Project-Id-Version: nestd\\n"
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""
_PROMPT = re.compile(r"^( +)<(description|message)>(.*)</\2>\n", re.MULTILINE)
_TRANSLATED = re.compile(r"^ +<(?:description|message) xml:lang=.*\n", re.MULTILINE)
_ENTRY = re.compile(r"^-- [0-9a-f]{32}\n", re.MULTILINE)


def messages() -> list[tuple[str, str]]:
    """All messages to translate with their files, in order and without duplicates."""
    found = {text: POLICY.name for _, _, text in _PROMPT.findall(POLICY.read_text())}
    for part in _parts(CATALOG.read_text()):
        if _is_text(part):
            found.setdefault(_translatable(part), CATALOG.name)
    return [(_unescaped(text), source) for text, source in found.items()]


def template(language: str = "", known: Mapping[str, str] | None = None) -> str:
    """A .pot file, or a .po file with the KNOWN translations."""
    entries = [HEADER.format(language=language)]
    for text, source in messages():
        translation = (known or {}).get(text, "")
        entries.append(f"#: {source}\nmsgid {_quoted(text)}\nmsgstr {_quoted(translation)}\n")
    return "\n".join(entries)


def translations(language: str) -> dict[str, str]:
    """The translations that msgfmt finds in the .po file. Raises CalledProcessError."""
    command = ["msgfmt", "--check-format", "--output-file=-", str(HERE / f"{language}.po")]
    compiled = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    known = gettext.GNUTranslations(io.BytesIO(compiled))
    texts = [text for text, _ in messages()]
    return {text: known.gettext(text) for text in texts if known.gettext(text) != text}


def policy(known: Mapping[str, Mapping[str, str]]) -> str:
    """The .policy file with the translations of all languages."""

    def with_translations(match: re.Match[str]) -> str:
        indent, tag, text = match.groups()
        lines = [match[0]]
        for language, translated in known.items():
            words = translated.get(_unescaped(text))
            if words:
                lines.append(f'{indent}<{tag} xml:lang="{language}">{_escaped(words)}</{tag}>\n')
        return "".join(lines)

    return _PROMPT.sub(with_translations, _TRANSLATED.sub("", POLICY.read_text()))


def catalog(language: str, known: Mapping[str, str]) -> str:
    """The catalog in that language; untranslated messages stay English."""
    lines = [
        "# SPDX-License-Identifier: LGPL-2.1-or-later\n",
        f"# Made by packaging/po/generate.py from nestd.catalog and {language}.po.\n\n",
    ]
    for part in _parts(CATALOG.read_text()):
        words = known.get(_translatable(part)) if _is_text(part) else None
        lines.append(part if words is None else part.replace(_translatable(part), words))
    return "".join(lines)


def _parts(text: str) -> Iterator[str]:
    """The pieces of the catalog's entries: single head lines and paragraphs."""
    for entry in re.split(r"(?=^-- )", text, flags=re.MULTILINE)[1:]:
        head, *paragraphs = re.split(r"(?<=\n)(?=\n)", entry)
        yield from head.splitlines(keepends=True)
        yield from paragraphs


def _is_text(part: str) -> bool:
    """Whether a piece is text: a subject or a paragraph, but not an indented command."""
    if part.startswith("Subject: "):
        return True
    return bool(part.strip()) and part.startswith("\n") and not part.startswith("\n ")


def _translatable(part: str) -> str:
    return part.strip("\n").removeprefix("Subject: ") if part.strip() else part


def _quoted(text: str) -> str:
    escaped = [
        '"' + line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        for line in text.splitlines(keepends=True)
    ]
    return escaped[0] if len(escaped) == 1 else "\n".join(['""', *escaped])


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def main() -> None:
    TEMPLATE.write_text(template())
    known = {}
    for language in LANGUAGES:
        known[language] = translations(language)
        (HERE / f"{language}.po").write_text(template(language, known[language]))
        path = CATALOG.with_suffix(f".{language}.catalog")
        path.write_text(catalog(language, known[language]))
    POLICY.write_text(policy(known))


if __name__ == "__main__":
    main()
