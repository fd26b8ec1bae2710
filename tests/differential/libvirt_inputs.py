# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generates valid and invalid filters, outputs and configuration files from a random seed."""

from __future__ import annotations

from random import Random

from nestd.formats.libvirt.log_categories import CATEGORIES

_LEVELS = ["1", "2", "3", "4"]
_ODD_LEVELS = [
    *("0", "5", "", "+1", "01", "-1", " 1", "\t2", "\v\f\r\n3", "1.0", "0x1", "debug", "1 "),
    *("4294967297", "18446744073709551617", "18446744073709551618", "++1", "+", "00004"),
    *("²", "1\x85", "9" * 30),
]
_ODD = [*" \t\n\r:+*?.-_/\\[]{}'\"#,;=0159aqZé日", "\udcff", "**", "::", "  "]
_WORDS = [
    *("qemu", "util.json", "libvirt", "remote", "event", "*", "?", "q?mu", "qe*n", "**x**", "a-b"),
    *("+foo", "++foo", "+", "*+foo", "foo:bar", "[q]emu", "é", "a\tb", "*?*", "", "."),
]


def _mutated(random: Random, text: str) -> str:
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        at = random.randint(0, len(text))
        kind = random.random()
        if kind < 0.5:
            text = text[:at] + random.choice(_ODD) + text[at:]
        elif kind < 0.8:
            text = text[:at] + text[at + 1 :]
        else:
            text = text[:at] + random.choice(_ODD) + text[at + 1 :]
    return text


def _level(random: Random) -> str:
    return random.choice(_LEVELS if random.random() < 0.9 else _ODD_LEVELS)


def _items(random: Random, item: str) -> str:
    return item + random.choice(["", "", "", " ", "  "]) if random.random() < 0.1 else item


def pattern(random: Random) -> str:
    """A pattern made from a category, with stars and question marks in place of some parts."""
    text = random.choice(CATEGORIES)
    start = random.randrange(len(text))
    chars = list(text[start : start + random.randint(1, 12)])
    for at in range(len(chars)):
        if random.random() < 0.15:
            chars[at] = random.choice(["*", "?", "?", "*?", "**", "x", ""])
    return "".join(chars) or "*"


def filters(random: Random) -> str:
    words = [
        f"{_level(random)}:{random.choice(_WORDS) if random.random() < 0.3 else pattern(random)}"
        for _ in range(random.choice((0, 1, 1, 2, 3, 8)))
    ]
    text = " ".join(_items(random, word) for word in words)
    return text if random.random() < 0.5 else _mutated(random, text)


def strict_filters(random: Random) -> str:
    count = random.randint(1, 6)
    return " ".join(f"{random.choice(_LEVELS)}:{pattern(random)}" for _ in range(count))


def category(random: Random) -> str:
    return random.choice(CATEGORIES) if random.random() < 0.7 else pattern(random).replace("*", "")


_PATHS = [
    *("/dev/null", "//dev//null", "///dev/null", "/dev/../dev/./null", "rel.log", "./a/../b.log"),
    *("{}/a.log", "{}/b.log", "{}//b.log", "{}/é.log", "{}/no/such.log", "{}", "", "/", ".."),
    *("//..//dev/null", "{}/a.log/", "{}/a\tb", "/dev/../../dev/null"),
]
_OTHERS = [
    *("stderr", "journald", "stderr", "journald", "stderr", "journald", "stderr:", "syslog"),
    *("STDERR", "file", "", "journald:x", "unknown"),
]


def outputs(random: Random, directory: str) -> str:
    words = []
    for _ in range(random.choice((0, 1, 1, 2, 3, 6))):
        kind = random.random()
        if kind < 0.5:
            rest = "file:" + random.choice(_PATHS).format(directory)
        elif kind < 0.65:
            rest = "syslog:" + random.choice(["libvirtd", "a", "b", "", "x.y", "é"])
        else:
            rest = random.choice(_OTHERS)
        words.append(f"{_level(random)}:{rest}")
    text = " ".join(_items(random, word) for word in words)
    return text if random.random() < 0.6 else _mutated(random, text)


def strict_outputs(random: Random, directory: str) -> str:
    places = ["stderr", "journald", "syslog:libvirtd", "syslog:a-b", f"file:{directory}/a.log",
              f"file:{directory}/b.log", "file:/dev/null"]  # fmt: skip
    chosen = random.sample(places, random.randint(1, 4))
    return " ".join(f"{random.choice(_LEVELS)}:{place}" for place in chosen)


_NAMES = [
    *(b"log_filters", b"log_filters", b"log_outputs", b"log_level", b"listen_tls", b"x", b"A_b9"),
]
_NUMBERS = [
    *(b"0", b"1", b"3", b"-1", b"+1", b"01", b"-0", b"4294967295", b"4294967296", b"-", b"+"),
    *(b"0x1", b"18446744073709551615", b"18446744073709551616", b"9223372036854775808"),
    *(b"-9223372036854775809", b"99999999999999999999", b"7" * 90, b"-" + b"8" * 70),
]
_SPACES = [b"", b"", b" ", b"  ", b"\t", b" \t "]
_ENDS = [
    *(b"\n", b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\n \n", b";", b" ; ", b";\n"),
    *(b"", b" ", b"\n\t", b" # why\n", b"#why\r\n"),
]
_COMMENTS = [
    *(b"# Logging filters:", b"#", b'#log_filters="1:qemu 1:libvirt"', b"#log_level = 3"),
    *(b'# log_outputs = "3:syslog:libvirtd"', b"#\xff\0x", b'#log_filters=""'),
]
_JUNK = [
    *(b"\0", b"\n", b"\r", b" ", b"\t", b'"', b"'", b'"""', b"#", b";", b"=", b"[", b"]", b","),
    *(b"a", b"1", b"-", b"\xff", b"\xef\xbb\xbf", b"\x0b", b"_", b"."),
]
_TEXTS = [
    *(b"1:qemu", b"", b"1:qemu 3:remote", b"\xc3\xa9", b"\xff", b"a#b", b"x;y", b"a\0b", b"[1]"),
    *(b"3:journald", b"log_filters = 1"),
]


def _string(random: Random) -> bytes:
    text = random.choice(_TEXTS)
    kind = random.random()
    if kind < 0.6:
        return b'"%s"' % text
    if kind < 0.8:
        return b"'%s'" % text.replace(b"'", b"")
    lines = [text, random.choice([b"\n", b'"', b"'", b"", b"\n#log_filters=1\n"]), text]
    return b'"""%s"""' % b"".join(lines)


def _value(random: Random, depth: int = 0) -> bytes:
    kind = random.random()
    if kind < 0.65:
        return _string(random)
    if kind < 0.85 or depth > 3:
        return random.choice(_NUMBERS)
    space = [random.choice([*_SPACES, b"\n", b"\r\n "]) for _ in range(4)]
    items = (space[0] + b"," + space[1]).join(
        _value(random, depth + 1) for _ in range(random.randint(0, 3))
    )
    return b"[" + space[2] + items + random.choice([b"", b"", b",", b"\n,"]) + space[3] + b"]"


def _assignment(random: Random) -> bytes:
    blanks = [random.choice(_SPACES) for _ in range(3)]
    return b"%s%s%s=%s%s" % (
        blanks[0], random.choice(_NAMES), blanks[1], blanks[2], _value(random))  # fmt: skip


def conf(random: Random) -> bytes:
    parts = []
    for _ in range(random.choice((0, 1, 2, 3, 5, 8))):
        kind = random.random()
        if kind < 0.7:
            parts.append(_assignment(random))
        elif kind < 0.95:
            parts.append(random.choice(_SPACES) + random.choice(_COMMENTS) + b"\n")
        parts.append(random.choice(_ENDS))
    data = b"".join(parts)
    for _ in range(random.choice((0, 0, 0, 1, 1, 3))):
        at = random.randint(0, len(data))
        junk = random.choice(_JUNK) if random.random() < 0.7 else b""
        data = data[:at] + junk + data[at + random.randint(0, 1) :]
    return data


def lens_conf(random: Random) -> bytes:
    """A file, mostly of lines that libvirt's augeas lens can read."""
    lines = []
    for _ in range(random.randint(0, 7)):
        blank = random.choice(_SPACES)
        lines.append(
            random.choice([
                b"",
                b"# Logging filters:",
                b'#log_filters="1:qemu"',
                b'#log_outputs="3:syslog:libvirtd"',
                blank + b'log_filters = "1:qemu"',
                blank + b'log_filters="3:remote"',
                b"log_level = 3" + blank,
                b'log_outputs="3:journald"' + blank,
                b'access_drivers = [ "polkit" ]',
                b"listen_tls=" + blank + b"0",
                b"# \xc3\xa9\r",
                b"log_filters = 'x'",
            ])
        )  # fmt: skip
    return b"\n".join(lines) + random.choice([b"", b"\n", b"\n"])
