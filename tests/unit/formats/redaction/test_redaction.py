# SPDX-License-Identifier: LGPL-2.1-or-later
"""No secret survives redaction, wherever the stream is split, and nothing else is lost."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestd.formats.redaction.redact import CUT_MARK, MAX_LINE, MOST_BLOCK_LINES, Redactor, redact

SECRET = "hunter2-Zq"
KEY = "AQDhX1RcAAAAABAA7bfvF0vJ5yJbDh0mCVmHgw=="

# Lines of QEMU's logs, libvirt's debug logs and configuration files, with "SECRET" as the secret,
# and what must remain of them.
LINES = (
    # QEMU's command line
    (
        "-spice port=5900,password=SECRET,addr=127.0.0.1,disable-ticketing=off \\",
        "-spice port=5900,password=[redacted],addr=127.0.0.1,disable-ticketing=off \\",
    ),
    ("-spice port=5900,password=SECRET", "-spice port=5900,password=[redacted]"),
    ("-spice 'port=1,password=a SECRET' \\", "-spice 'port=1,password=[redacted]' \\"),
    ("-spice 'password=a'\\''SECRET' -m 4", "-spice 'password=[redacted]' -m 4"),
    ("-spice 'password=\"\"SECRET,tls' -m 4", "-spice 'password=[redacted]' -m 4"),
    ('password="a"SECRET -m 4', 'password="[redacted]'),
    ("-spice password=a,,SECRET,tls", "-spice password=[redacted],tls"),
    (
        "-object secret,id=sec0,keyid=masterKey0,iv=AAEC,format=base64,data=SECRET \\",
        "-object secret,id=sec0,keyid=masterKey0,iv=AAEC,format=base64,data=[redacted] \\",
    ),
    (
        '-object \'{"qom-type":"secret","id":"s0","data":"SECRET","keyid":"masterKey0"}\' \\',
        '-object \'{"qom-type":"secret","id":"s0","data":"[redacted]","keyid":"masterKey0"}\' \\',
    ),
    (
        "-drive file=rbd:pool/image:id=admin:key=KEY:auth_supported=cephx,format=raw",
        "-drive file=rbd:pool/image:id=admin:key=[redacted]:auth_supported=cephx,format=raw",
    ),
    (
        "-drive file=iscsi://user%SECRET@example.org/iqn/1,if=none",
        "-drive file=iscsi://user%[redacted]@example.org/iqn/1,if=none",
    ),
    (
        "-drive file=https://user:SECRET@example.org:443/disk.img",
        "-drive file=https://user:[redacted]@example.org:443/disk.img",
    ),
    (
        '-fw_cfg \'name=opt/com.coreos/config,string={"x":"SECRET"}\' \\',
        "-fw_cfg 'name=opt/com.coreos/config,string=[redacted]",
    ),
    (
        "-smbios type=11,value=io.systemd.credential:passwd.root=SECRET",
        "-smbios type=11,value=io.systemd.credential:passwd.root=[redacted]",
    ),
    # QMP and the guest agent
    (
        'QEMU_MONITOR_IO_WRITE: mon=0x7f buf={"execute":"set_password","arguments":'
        '{"protocol":"vnc","password":"SECRET","connected":"keep"},"id":"libvirt-10"}',
        'QEMU_MONITOR_IO_WRITE: mon=0x7f buf={"execute":"set_password","arguments":'
        '[redacted],"id":"libvirt-10"}',
    ),
    (
        '{"execute":"expire_password","arguments":{"protocol":"vnc","time":"SECRET"},"id":"x"}',
        '{"execute":"expire_password","arguments":[redacted],"id":"x"}',
    ),
    (
        '{"execute":"change","arguments":{"device":"vnc","target":"password","arg":"SECRET"}}',
        '{"execute":"change","arguments":[redacted]}',
    ),
    (
        '{"arguments":{"arg":"SE\\"}CRET SECRET"},"execute":"change"}',
        '{"arguments":[redacted],"execute":"change"}',
    ),
    (
        '{"execute":"object-add","arguments":{"qom-type":"secret","id":"a","data":"SECRET"}}',
        '{"execute":"object-add","arguments":{"qom-type":"secret","id":"a","data":"[redacted]"}}',
    ),
    (
        '{"execute":"human-monitor-command","arguments":'
        '{"command-line":"set_password vnc SECRET keep"}}',
        '{"execute":"human-monitor-command","arguments":{"command-line":"set_password [redacted]',
    ),
    (
        '{"execute":"human-monitor-command","arguments":'
        '{"command-line":"change vnc password SECRET"}}',
        '{"execute":"human-monitor-command","arguments":'
        '{"command-line":"change vnc password [redacted]',
    ),
    (
        'buf={"execute":"guest-set-user-password","arguments":{"username":"root",'
        '"password":"SECRET","crypted":false}}',
        'buf={"execute":"guest-set-user-password","arguments":[redacted]}',
    ),
    ('{"return":{"count":3,"buf-b64":"SECRET"}}', '{"return":{"count":3,"buf-b64":"[redacted]"}}'),
    ('{"password": "a\\\\","secret":"SECRET"}', '{"password": "[redacted]","secret":"[redacted]"}'),
    ('{"password": "a\\"SECRET", "b": 1}', '{"password": "[redacted]", "b": 1}'),
    (
        'msg="{\\"password\\":\\"SECRET\\",\\"b\\":1}"',
        'msg="{\\"password\\":\\"[redacted]\\",\\"b\\":1}"',
    ),
    (
        'x={\\"execute\\":\\"set_password\\",\\"arguments\\":{\\"protocol\\":\\"SECRET\\"}}',
        'x={\\"execute\\":\\"set_password\\",\\"arguments\\":[redacted]',
    ),
    ('{"passwords": ["SECRET", "SECRET"]}', '{"passwords": [redacted]'),
    ("{'password': 'SECRET', 'b': 1}", "{'password': '[redacted]', 'b': 1}"),
    ('"password": "SECRET', '"password": "[redacted]'),
    # Domain XML
    (
        "<graphics type='vnc' port='-1' passwd='SECRET' passwdValidTo='2026-01-01T00:00:00'/>",
        "<graphics type='vnc' port='-1' passwd='[redacted]' passwdValidTo='2026-01-01T00:00:00'/>",
    ),
    ('<graphics type="spice" passwd="SECRET"/>', '<graphics type="spice" passwd="[redacted]"/>'),
    ("<secret type='x'>SECRET</secret>", "<secret type='x'>[redacted]</secret>"),
    ("<cookie name='a'>SECRET</cookie>", "<cookie name='a'>[redacted]</cookie>"),
    ("  <password>SECRET", "  <password>[redacted]"),
    # Configuration files
    ('vnc_password = "SECRET"', 'vnc_password = "[redacted]"'),
    ("#spice_password='SECRET'", "#spice_password='[redacted]'"),
    ('vnc_password = """SECRET""" # x', 'vnc_password = """[redacted]""" # x'),
    ("        key = KEY", "        key = [redacted]"),
    # Others
    ("Password: SECRET", "Password: [redacted]"),
    ("root:$6$saltsalt$abcdefghSECRET:1", "root:[redacted]-Zq:1"),
    ("> Authorization: Bearer SECRET", "> Authorization: [redacted]"),
    ("> Cookie: a=b; c=SECRET", "> Cookie: [redacted]"),
    # Kernel command lines, environments, clouds
    (
        "root=/dev/sda netroot=iscsi:user:SECRET@192.0.2.1::3260::iqn.x quiet",
        "root=/dev/sda netroot=iscsi:user:[redacted]@192.0.2.1::3260::iqn.x quiet",
    ),
    (
        "netroot=iscsi:user:SECRET:back:SECRET@192.0.2.1::::iqn.x",
        "netroot=iscsi:user:[redacted]@192.0.2.1::::iqn.x",
    ),
    (
        '{"execute":"guest-exec","arguments":{"path":"/bin/sh","arg":["-c","echo SECRET"]}}',
        '{"execute":"guest-exec","arguments":[redacted]}',
    ),
    ("DB_PASS=SECRET HOME=/root", "DB_PASS=[redacted] HOME=/root"),
    ("db-pass: SECRET", "db-pass: [redacted]"),
    ("pass=SECRET", "pass=[redacted]"),
    ('"adminPass": "SECRET", "id": 1', '"adminPass": "[redacted]", "id": 1'),
    ("rootPass='SECRET'", "rootPass='[redacted]'"),
    ("psk=SECRET", "psk=[redacted]"),
    ("    wpa-psk SECRET=1 psk='SECRET'", "    wpa-psk hunter2-Zq=1 psk='[redacted]'"),
    (
        "<qemu:env name='DB_PASSWORD' value='SECRET'/>",
        "<qemu:env name='DB_PASSWORD' value='[redacted]'/>",
    ),
    ('<env name="DB_PWD" value="SECRET"/>', '<env name="DB_PWD" value="[redacted]"/>'),
    ("<env value='SECRET' name='DB_PASS'/>", "<env value='[redacted]' name='DB_PASS'/>"),
    ("virsh secret-set-value 2a5b SECRET", "virsh secret-set-value [redacted]"),
    ("secret-set-value --base64 SECRET --secret x", "secret-set-value [redacted]"),
    (
        "https://s3.example.org/a?X-Amz-Credential=SECRET&X-Amz-Date=2026&X-Amz-Signature=SECRET",
        "https://s3.example.org/a?X-Amz-Credential=[redacted]&X-Amz-Date=2026"
        "&X-Amz-Signature=[redacted]",
    ),
    (
        "https://x.example.org/disk?sv=1&sig=SECRET'",
        "https://x.example.org/disk?sv=1&sig=[redacted]'",
    ),
)

UNTOUCHED = (
    "-vnc 127.0.0.1:0,password=on,audiodev=audio1 \\",
    '-object \'{"qom-type":"secret","id":"masterKey0","format":"raw",'
    '"file":"/var/lib/libvirt/qemu/domain-1-a/master-key.aes"}\' \\',
    "-spice port=5900,password-secret=spice0,tls-port=5901",
    '"key-secret":"libvirt-1-format-encryption-secret0","file":"libvirt-1-storage"',
    "<secret type='ceph' uuid='2a5b08e4-3dca-4ff9-9a1d-40389758d081'/>",
    '{"execute":"query-vnc","id":"libvirt-5"}',
    '{"timestamp": {"seconds": 1}, "event": "STOP", "data": {"x": 1}}',
    "key=/etc/pki/libvirt/private/serverkey.pem",
    "kvm_amd: Nested Virtualization enabled",
    'default_tls_x509_secret_uuid = "00000000-0000-0000-0000-000000000000"',
    "http://example.org:8080/path user@example.org",
    "error : virSecretLoad:123 : secret not found",
    "monkey=banana-banana-banana-banana",
    "donkey: 0123456789abcdef0123456789abcdef",
    "turkeys = aaaaaaaaaaaaaaaaaaaaaaaa",
    "bypass=yes compass: north",
    "netroot=iscsi:@192.0.2.1::3260::iqn.x root=iscsi:",
    "<qemu:env name='LANG' value='C'/>",
    "virsh secret-list",
    "design=a&b",
    '{"execute":"guest-exec-status","arguments":{"pid":1234}}',
)


@pytest.mark.parametrize(("line", "left"), LINES)
def test_lines(line: str, left: str) -> None:
    planted = line.replace("SECRET", SECRET).replace("KEY", KEY)
    redacted, count = redact(planted.encode())
    assert redacted.decode() == left
    assert count >= 1


@pytest.mark.parametrize("line", UNTOUCHED)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line.encode()) == (line.encode(), 0)


def test_a_second_time_changes_nothing() -> None:
    text = "\n".join(line for line, _ in LINES if "<password>" not in line).encode()
    once, count = redact(text)
    assert count >= len(LINES) - 1
    assert redact(once)[0] == once


def test_secrets_of_many_lines() -> None:
    text = (
        b"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----\nb\n"
        b'vnc_password = """one\ntwo""" # c\n<secret>\n  dGVzdA==\n</secret>\n'
    )
    assert redact(text) == (
        b"a\n-----BEGIN RSA PRIVATE KEY-----[redacted]\n\n\n-----END RSA PRIVATE KEY-----\nb\n"
        b'vnc_password = """[redacted]\n""" # c\n<secret>[redacted]\n\n</secret>\n',
        3,
    )


def test_a_secret_without_an_end_does_not_take_everything() -> None:
    lines = [b"-----BEGIN PRIVATE KEY-----"] + [b"line"] * (MOST_BLOCK_LINES + 50)
    redacted, _ = redact(b"\n".join(lines))
    assert redacted.count(b"line") == 50
    assert redacted.startswith(b"-----BEGIN PRIVATE KEY-----[redacted]\n\n")


def test_a_long_line_is_cut() -> None:
    redactor = Redactor()
    text = b"x" * (MAX_LINE - 10) + b'"password":"abcdef"' + b"y" * 1000 + b"\nnext\n"
    redacted = redactor.feed(text) + redactor.finish()
    assert redacted.startswith(b"x" * (MAX_LINE - 10))
    assert redacted.endswith(CUT_MARK + b"\nnext\n")
    assert b"abcdef" not in redacted
    assert redactor.cut_bytes == 1009


def test_bytes_that_are_not_text_stay() -> None:
    data = bytes(range(256)) * 10 + b"\r\n\xff\xfe\0\n"
    assert redact(data) == (data, 0)


# Any password that the form can contain.
_plain = st.text(st.sampled_from("abcXYZ019+/=!#$%^&*()-_~.:;?@[]{}<>|"), min_size=5, max_size=30)
_json = st.text(st.characters(blacklist_categories=("Cs",)), min_size=5, max_size=30).map(
    lambda text: f"\u00a7{text}"  # so that it is not part of the line's other words
)
_spaced = st.text(st.sampled_from("abcXYZ019 '\"\\,;{}[]<>&"), min_size=5, max_size=30)


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _planted(draw: st.DrawFn) -> tuple[bytes, str]:
    """A line, and a piece of its secret as it appears there."""
    form = draw(st.integers(0, 6))
    if form == 0:
        secret = draw(_json)
        text = json.dumps({"execute": "set_password", "arguments": {"password": secret, "a": 1}})
        return text.encode(), json.dumps(secret)[1:-1]
    if form == 1:
        secret = draw(_json)
        inner = json.dumps({"x": {"password": secret}, "secret": secret})
        return json.dumps({"m": inner}).encode(), json.dumps(json.dumps(secret)[1:-1])[1:-1]
    if form == 2:
        secret = draw(_spaced).replace(",", ",,")
        option = f"port=5900,password={secret},tls-port=1"
        return f"-spice {_shell(option)} -m 4".encode(), _shell(secret)[1:-1]
    if form == 3:
        secret = draw(_plain).replace("<", "").replace(">", "") + "abcde"
        return f"<graphics type='vnc' passwd='{secret}' port='1'/>".encode(), secret
    if form == 4:
        secret = draw(_plain)
        return f"-spice port=5900,password={secret},x=1".encode(), secret
    if form == 5:
        secret = draw(_plain).replace("/", "") + "abcde"
        return f"url https://user:{secret}@host/x".encode(), secret
    secret = draw(_plain)
    return f'vnc_password = "{secret}"'.encode(), secret


@st.composite
def _streams(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[str]]:
    noise = st.binary(max_size=40)
    lines, secrets = [], []
    for _ in range(draw(st.integers(1, 5))):
        line, secret = _planted(draw)
        lines += [draw(noise), line]
        secrets.append(secret)
    text = b"\n".join(lines)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    edges = [0, *cuts, len(text)]
    return text, [text[a:b] for a, b in zip(edges, edges[1:])], secrets


@given(_streams())
def test_no_planted_secret_survives_and_cuts_do_not_matter(
    stream: tuple[bytes, list[bytes], list[str]],
) -> None:
    text, chunks, secrets = stream
    redactor = Redactor()
    redacted = b"".join([redactor.feed(chunk) for chunk in chunks]) + redactor.finish()
    assert redacted == redact(text)[0]
    for secret in secrets:
        assert secret.encode("utf-8", "surrogatepass") not in redacted


@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=20))
def test_any_bytes_in_any_cut(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    redactor = Redactor()
    parts = [redactor.feed(data[a:b]) for a, b in zip(edges, edges[1:])]
    assert b"".join(parts) + redactor.finish() == redact(data)[0]


@pytest.mark.parametrize(
    "piece",
    [
        b"password",
        b"password=",
        b'"password":"',
        b"secret,",
        b"'\\''password",
        b"://a:",
        b"<password ",
        b'\\"password\\":\\"',
        b"key=",
        b"password  ",
        b'"execute":"change""arguments":{',
        b'password="""x"""',
        b"a",
        b"'",
        b"$6$",
        b"iscsi:a:",
        b"name='password' value='",
        b"value='x' name='",
        b"secret-set-value ",
        b"x-amz-signature=",
    ],
)
def test_hostile_lines_take_linear_time(piece: bytes) -> None:
    line = piece * (MAX_LINE // len(piece))
    started = time.process_time()
    redact(line + b"\n")
    assert time.process_time() - started < 5
