# SPDX-License-Identifier: LGPL-2.1-or-later
"""Patterns of secrets in logs and files of libvirt, QEMU and the kernel, one rule per syntax.

A secret without a clear end (an unclosed quote, escapes within escapes) extends to the end of the
line. The time is linear in a line's length for any content, since no rule backtracks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = b"[redacted]"
_NO_SECRETS = (MARK, b"", b"on", b"off", b"true", b"false", b"null", b"(nil)", b"<null>")

# A name with such an ending belongs to a secret (DB_PASS and adminPass do, bypass and compass do
# not). QEMU's "...-secret" properties only name other objects.
_WORD = (
    rb"(?:pass(?:word|wd|phrase|code)|(?<![a-z0-9])(?:pass|psk)|(?-i:(?<=[a-z])Pass)|pwd"
    rb"|(?<!-)secret|token|ticket|cookie|(?<!systemd\.)credential"
    rb"|(?:api|auth|access|private|session|master)[_-]?key)s?"
)
_WORD_TRIGGERS = (
    b"pass",
    b"psk",
    b"pwd",
    b"secret",
    b"token",
    b"ticket",
    b"cookie",
    b"credential",
    b"key",
)
# Commands of QMP and the guest agent whose arguments are entirely secret, or go to a guest.
_COMMAND = (
    rb"(?:set_password|expire_password|change-vnc-password|change|block_passwd|send-key"
    rb"|guest-set-user-password|guest-exec|guest-file-write|sev-inject-launch-secret)"
)
# Contents of a secret object, text typed into a guest, data read or written by its agent.
_DATA = rb"(?:data|buf-b64|input-data|out-data|err-data)"
_IS = rb"\s*(?::|=>?)\s*"
_LETTERS = re.IGNORECASE | re.DOTALL
_ALWAYS = re.compile(rb"")


@dataclass(frozen=True)
class Rule:
    """PATTERN has two groups: "keep", the text before the secret, and "secret"."""

    kind: str
    triggers: tuple[bytes, ...]  # in lower case: a line without any of them has no such secret
    pattern: re.Pattern[bytes]
    needs: re.Pattern[bytes] = _ALWAYS  # must also match in the line

    def apply(self, line: bytes) -> tuple[bytes, int]:
        """LINE without such secrets, and the number removed."""
        if self.needs.search(line) is None:
            return line, 0
        count = 0

        def replace(match: re.Match[bytes]) -> bytes:
            nonlocal count
            if match["secret"] in _NO_SECRETS:
                return match[0]
            count += 1
            return match["keep"] + MARK

        return self.pattern.sub(replace, line), count


@dataclass(frozen=True)
class Block:
    """A secret that can span lines, from the end of opening to the start of ending."""

    kind: str
    triggers: tuple[bytes, ...]
    opening: re.Pattern[bytes]
    ending: re.Pattern[bytes]


def _pattern(keep: bytes, secret: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?P<keep>" + keep + rb")(?P<secret>" + secret + rb")", _LETTERS)


def _password(keep: bytes, secret: bytes) -> Rule:
    return Rule("password", _WORD_TRIGGERS, _pattern(keep, secret))


RULES = (
    # ?X-Amz-Signature=SECRET&..., X-Goog-Credential=SECRET, sig=SECRET of Azure
    Rule(
        "signed address",
        (b"x-amz-", b"x-goog-", b"sig="),
        _pattern(
            rb"(?:x-(?:amz|goog)-(?:signature|credential|security-token)|[?&]sig)=",
            rb"[^&\s'\"]+",
        ),
    ),
    # -smbios type=11,value=io.systemd.credential:NAME=SECRET
    Rule(
        "configuration of a guest",
        (b"io.systemd.credential",),
        _pattern(rb"io\.systemd\.credential(?:\.binary)?:[^=\s]{0,255}=", rb".*"),
    ),
    # {"execute": "set_password", "arguments": {...}}, also as a string within other JSON
    Rule(
        "command to QEMU or a guest's agent",
        (b"arguments",),
        _pattern(
            rb'arguments\\*"\s*:\s*',
            rb'\{(?:[^{}"\\]|"(?:[^"\\]|\\.)*")*\}|(?!\[redacted\]).*',
        ),
        re.compile(rb'execute\\*"\s*:\s*\\*"' + _COMMAND + rb'\\*"', _LETTERS),
    ),
    # The same in QEMU's human monitor: set_password vnc SECRET, change vnc password SECRET
    Rule(
        "command to QEMU or a guest's agent",
        (b"set_password", b"expire_password", b"block_passwd", b"change"),
        _pattern(
            rb"(?:set_password|expire_password|block_passwd|change\s+vnc\s+passw(?:or)?d)\s+",
            rb".*",
        ),
    ),
    # "password": "SECRET"
    Rule(
        "password",
        (*_WORD_TRIGGERS, b"data", b"buf-b64"),
        _pattern(rb"(?:" + _WORD + rb'|"' + _DATA + rb')"\s*:\s*"', rb'(?:[^"\\]|\\.?)*'),
    ),
    # \"password\": \"SECRET\"
    Rule(
        "password",
        (*_WORD_TRIGGERS, b"data", b"buf-b64"),
        _pattern(
            rb"(?:" + _WORD + rb'|\\"' + _DATA + rb")(?:\\+[\"'])?" + _IS + rb"(?P<quote>\\+[\"'])",
            rb"[^\\\"']*(?=(?P=quote))|(?!\[redacted\]).*",
        ),
    ),
    # 'port=1,password=SE CRET' as a shell takes it, "... password=SECRET"
    _password(rb"'[^']*?" + _WORD + rb"\s*=", rb"[^']+(?:'\\''[^']*)*"),
    _password(rb'"[^"]*?' + _WORD + rb"\s*=", rb"[^\"]+"),
    # passwd='SECRET', password = "SECRET", unless the word continues after the quote, as in a shell
    _password(_WORD + rb"[\"']?" + _IS + rb'"', rb'[^"\\]*(?="(?:[^\w"\'$]|"?$))|.*'),
    _password(_WORD + rb"[\"']?" + _IS + rb"'", rb"[^'\\]*(?='(?:[^\w\"'$\\]|$))|.*"),
    # password=SECRET,tls (QEMU doubles commas in it); password: SECRET
    _password(_WORD + _IS, rb"(?!\\*[\"']|\[redacted\](?:[\s,&'\"]|$))(?:,,|[^\s,])+"),
    # "password": 1234, "passwords": ["SECRET"]
    _password(_WORD + rb"[\"']\s*:\s*", rb"[^\s{\[\"'\\,}\]]+|\[(?!redacted\]).*"),
    # <password>SECRET</password>
    _password(rb"<[\w:.-]{0,32}?" + _WORD + rb"(?:\s[^<>]*)?(?<!/)>", rb"\s*[^<\s][^<]*"),
    # https://user:SECRET@host, iscsi://user%SECRET@host
    Rule(
        "password in an address",
        (b"://",),
        _pattern(
            rb"(?:iscsi|iser)://[^\s/@%:'\"]{0,256}%|://[^\s/@:'\"]{0,256}:",
            rb"[^\s/'\"]+(?=@)",
        ),
    ),
    # netroot=iscsi:user:SECRET@host, iscsi:user:SECRET:reverse:SECRET@host (dracut.cmdline)
    Rule(
        "password in an address",
        (b"iscsi:",),
        _pattern(
            rb"iscsi:(?!//)[^\s/@:'\"]{0,128}:",
            rb"[^\s/@:'\"]{1,128}(?::[^\s/@:'\"]{0,128}){0,2}(?=@)",
        ),
    ),
    # <qemu:env name='DB_PASSWORD' value='SECRET'/>
    Rule(
        "password",
        (b"value",),
        _pattern(
            rb"name\s*=\s*[\"'][^\"'<>]{0,256}?" + _WORD + rb"[\"']\s+value\s*=\s*(?P<mark>[\"'])",
            rb"(?:(?!(?P=mark)).)+",
        ),
    ),
    Rule(
        "password",
        (b"value",),
        _pattern(
            rb"value\s*=\s*(?P<mark>[\"'])",
            rb"[^\"'<>]+(?=(?P=mark)\s+name\s*=\s*[\"'][^\"'<>]{0,256}?" + _WORD + rb"[\"'])",
        ),
    ),
    # virsh secret-set-value UUID SECRET
    Rule(
        "secret of libvirt's",
        (b"secret-set-value",),
        _pattern(rb"secret-set-value\s+", rb"(?!\[redacted\]).+"),
    ),
    # rbd:pool/image:id=admin:key=SECRET, key = SECRET in a Ceph keyring
    Rule(
        "key",
        (b"key",),
        _pattern(
            rb"(?<![a-z])key(?:\\*[\"'])?\s*[=:]\s*(?:\\*[\"'])?",
            rb"(?!/(?:etc|var|usr|run|home|tmp|opt|srv|root)/)[A-Z0-9+/_-]{16,}={0,2}",
        ),
    ),
    # -object secret,id=sec0,data=SECRET
    Rule(
        "secret object",
        (b"data=",),
        _pattern(rb"\bdata=", rb"(?:,,|[^\s,'\"])+"),
        re.compile(rb"secret", re.IGNORECASE),
    ),
    # Ignition and the like: -fw_cfg name=opt/com.coreos/config,string=SECRET
    Rule(
        "configuration of a guest",
        (b"string=",),
        _pattern(rb"\bstring=", rb".*"),
        re.compile(rb"fw_cfg", re.IGNORECASE),
    ),
    # crypt(5)
    Rule(
        "password hash",
        (b"$1$", b"$2", b"$5$", b"$6$", b"$7$", b"$y$", b"$gy$"),
        _pattern(rb"", rb"\$(?:1|2[abxy]?|5|6|7|y|gy)\$[./A-Z0-9$,=]{8,}"),
    ),
    # Headers of HTTP
    Rule(
        "HTTP header",
        (b"authorization", b"cookie:"),
        _pattern(rb"authorization(?:\\*[\"'])?\s*[:=]\s*|cookie:\s*(?!\\*[\"'])", rb".*"),
    ),
)

BLOCKS = (
    Block(
        "private key",
        (b"private key",),
        re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----", re.IGNORECASE),
        re.compile(rb"-----END", re.IGNORECASE),
    ),
    # libvirt's configuration files: vnc_password = """SECRET"""
    Block(
        "password",
        (b'"""',),
        re.compile(_WORD + rb'\s*=\s*"""', _LETTERS),
        re.compile(rb'"""'),
    ),
    # An XML element that is alone on its lines
    Block(
        "password",
        _WORD_TRIGGERS,
        re.compile(
            rb"^\s*<[\w:.-]{0,32}?" + _WORD + rb"(?:\s[^<>]*)?(?<!/)>(?=[^<]*$)",
            _LETTERS,
        ),
        re.compile(rb"<"),
    ),
)

_TRIGGERS = tuple(
    sorted({trigger for each in (RULES, BLOCKS) for item in each for trigger in item.triggers})
)


def triggered(lower: bytes) -> bool:
    """Whether any rule applies to a text, given in lower case."""
    return any(trigger in lower for trigger in _TRIGGERS)
