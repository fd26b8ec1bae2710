# SPDX-License-Identifier: LGPL-2.1-or-later
"""The editor of libvirtd.conf: where a line is inserted, what stays, and what is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nestd.formats.libvirt import conf_edit as libvirt_conf_edit
from nestd.formats.libvirt.conf import MAX_BYTES, ConfError, parse
from nestd.formats.libvirt.conf_edit import EditError, dead_duplicates, set_string

# The logging section of the file that libvirt ships, without most of its comments.
STOCK = b"""\
# Logging level: 4 errors, 3 warnings, 2 information, 1 debug
#log_level = 3

# Logging filters:
# The format for a filter is:
#    level:match
#log_filters="1:qemu 1:libvirt 4:object 4:json 4:event 1:util"

# Logging outputs:
#log_outputs="3:syslog:libvirtd"

#audit_level = 2
"""


def test_the_commented_example_marks_the_place() -> None:
    edited = set_string(STOCK, "log_filters", "1:qemu 3:remote")
    example = b'#log_filters="1:qemu 1:libvirt 4:object 4:json 4:event 1:util"\n'
    assert edited == STOCK.replace(example, example + b'log_filters = "1:qemu 3:remote"\n')
    edited = set_string(edited, "log_outputs", "3:journald")
    assert b'\n#log_outputs="3:syslog:libvirtd"\nlog_outputs = "3:journald"\n\n' in edited
    edited = set_string(edited, "log_filters", None)
    assert set_string(edited, "log_outputs", None) == STOCK


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Set before: only the value changes.
        (b"\tlog_filters='3:a' # why\r\nx=1", b'\tlog_filters="1:b" # why\r\nx=1'),
        (b'x=1; log_filters = """3:a\n"""; y=2\n', b'x=1; log_filters = "1:b"; y=2\n'),
        (b'log_filters="3:a"\nlog_filters="4:a"', b'log_filters="1:b"\nlog_filters="4:a"'),
        (b"log_filters = [ 1,\n 2 ]\n", b'log_filters = "1:b"\n'),
        (b"log_filters='1:b'\n", b"log_filters='1:b'\n"),  # what it should be
        # Not set before.
        (b"", b'log_filters = "1:b"\n'),
        (b"x=1\n", b'x=1\nlog_filters = "1:b"\n'),
        (b"x=1", b'x=1\nlog_filters = "1:b"'),
        (b"x=1;", b'x=1;\nlog_filters = "1:b"'),
        (b"x=1\n ", b'x=1\n \nlog_filters = "1:b"'),
        (b"#x\r\n", b'#x\r\nlog_filters = "1:b"\n'),
        (b"#x\r", b'#x\r\nlog_filters = "1:b"'),
        (b'#log_filters=""', b'#log_filters=""\nlog_filters = "1:b"'),
        (b'#log_filters=""\r#y\n', b'#log_filters=""\r#y\nlog_filters = "1:b"\n'),
        (b'#a\r # log_filters = ""\r\n#y', b'#a\r # log_filters = ""\r\nlog_filters = "1:b"\n#y'),
        (b"#log_filters=1\n#log_filters=2", b'#log_filters=1\nlog_filters = "1:b"\n#log_filters=2'),
        # These are not commented-out examples.
        (b"#log_filters_x=1\ny=2\n", b'#log_filters_x=1\ny=2\nlog_filters = "1:b"\n'),
        (b"x=1 #log_filters=1\ny=2\n", b'x=1 #log_filters=1\ny=2\nlog_filters = "1:b"\n'),
        (
            b'x="""\n#log_filters=1\n"""\n#log_filters=2\n#y',
            b'x="""\n#log_filters=1\n"""\n#log_filters=2\nlog_filters = "1:b"\n#y',
        ),
    ],
)
def test_set(before: bytes, after: bytes) -> None:
    assert set_string(before, "log_filters", "1:b") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"x=1\n", b"x=1\n"),
        (b'x=1\n  log_filters="1:a"  \r\ny=2\n', b"x=1\ny=2\n"),
        (b'x=1\nlog_filters="""\n1:a\n"""\ny=2\n', b"x=1\ny=2\n"),
        (b'log_filters="1:a" # why\n', b"# why\n"),
        (b'log_filters="1:a"; y=2\n', b"y=2\n"),
        (b'x=1; log_filters="1:a"; y=2\n', b"x=1; y=2\n"),
        (b'x=1; log_filters="1:a"\ny=2\n', b"x=1; \ny=2\n"),
        (b'x=1;\nlog_filters="1:a";\ny=2\n', b"x=1;\ny=2\n"),
        (b'x=1\nlog_filters="1:a"', b"x=1"),
        (b'x=1\n\nlog_filters="1:a"', b"x=1\n"),
        (b'x=1\rlog_filters="1:a"', b"x=1\r"),
        # Every assignment is removed.
        (b'log_filters="1:a"\nx=1\nlog_filters="1:b"\nlog_filters=3', b"x=1"),
        (b'x=1\nlog_filters="1:a"; log_filters="1:b" # c\n', b"x=1\n# c\n"),
        (b'x=1\nlog_filters="1:a"; log_filters="1:b"\n', b"x=1\n"),
        # Only white space would be left, which libvirt does not read.
        (b'\nlog_filters="1:a"\n \n', b""),
        (b'log_filters="1:a"', b""),
    ],
)
def test_unset(before: bytes, after: bytes) -> None:
    assert set_string(before, "log_filters", None) == after


def test_dead_duplicates_are_reported() -> None:
    data = b'log_filters="1:a"\nx=1\nlog_filters="2:b"; log_filters="3:c"\n'
    assert dead_duplicates(data, "log_filters") == (3, 3)
    assert dead_duplicates(data, "x") == ()
    assert dead_duplicates(set_string(data, "log_filters", "4:d"), "log_filters") == (3, 3)
    with pytest.raises(ConfError):
        dead_duplicates(b"?", "x")


@pytest.mark.parametrize(
    "data", [b"\n", b"x", b"log_filters=1:qemu\n", b"\0", b"x=1\0", b"\x7fELF"]
)
def test_a_file_that_libvirt_cannot_read_is_refused(data: bytes) -> None:
    for value in ("1:a", None):
        with pytest.raises(ConfError):
            set_string(data, "log_filters", value)


@pytest.mark.parametrize("value", ['1:"', "1:a\n", "1:a\r", "1:a\0", "\udcff"])
def test_a_value_that_cannot_be_quoted_is_refused(value: str) -> None:
    with pytest.raises(EditError, match=r"^the value of log_filters "):
        set_string(STOCK, "log_filters", value)


@pytest.mark.parametrize("name", ["", "log-filters", "_x", "1x", "a=b", "ä", "a\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(EditError, match=r"is not the name of a setting$"):
        set_string(STOCK, name, "1:a")


def test_a_result_that_is_too_large_is_refused() -> None:
    data = b"#" * MAX_BYTES
    with pytest.raises(EditError, match="libvirt could not read the file: the file is larger"):
        set_string(data, "log_filters", "1:a")


@pytest.mark.parametrize(
    "wrong", [b"", b'x="1"', b'x="2"\nlog_filters="2:b"', b'log_filters="1:a"']
)
def test_a_wrong_result_is_never_returned(wrong: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt_conf_edit, "_with", lambda *_: wrong)
    with pytest.raises(EditError, match=r"without harm to other settings$"):
        set_string(b'x="1"\n', "log_filters", "1:a")


def test_duplicates_are_neither_lost_nor_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt_conf_edit, "_with", lambda *_: b'log_filters="1:a"')
    with pytest.raises(EditError):
        set_string(b"log_filters='2:b'\nlog_filters='3:c'", "log_filters", "1:a")
    monkeypatch.setattr(libvirt_conf_edit, "_without", lambda data, *_: data)
    with pytest.raises(EditError):
        set_string(b"log_filters='2:b'", "log_filters", None)


def test_many_lines_take_no_longer_than_their_number() -> None:
    data = b'log_filters = "1:a"\n' * 20_000 + b"#log_filters=1\n" * 20_000 + b'x="""\n"""\n' * 9
    started = time.process_time()
    assert set_string(set_string(data, "log_filters", "1:b"), "log_filters", None).startswith(b"#")
    assert set_string(b'x="""\n' + b"#log_filters=1\n" * 20_000 + b'"""', "log_filters", "1:b")
    assert time.process_time() - started < 5


STATEMENTS = (
    *(
        b'log_filters="1:a"',
        b"log_filters = '1:b' # c",
        b"\tlog_filters=[ 1,\n'x' ]",
        b"x=1",
        b"y = '\0'",
    ),
    *(b'x="""\n#log_filters=1\n"""', b'#log_filters="1:q"', b" # log_filters =", b"#c", b"#\xff\0"),
)
ENDS = (b"\n", b"\n", b"\r\n", b"\r", b"; ", b";\n", b" \n\n", b"")
FILES = st.lists(st.tuples(st.sampled_from(STATEMENTS), st.sampled_from(ENDS)), max_size=5).map(
    lambda parts: b"".join(b"".join(part) for part in parts)
)


def readable(data: bytes) -> bool:
    try:
        parse(data)
    except ConfError:
        return False
    return True


@given(FILES)
@example(b"#\r")
@example(b"x=1\n\t")
def test_set_and_unset_gives_the_original_bytes(data: bytes) -> None:
    assume(readable(data) and parse(data).first("log_filters") is None)
    edited = set_string(data, "log_filters", "1:b")
    assert parse(edited).get_string("log_filters") == "1:b"
    assert b'log_filters = "1:b"' in edited.split(b"\n")
    assert set_string(edited, "log_filters", None) == data


@given(FILES)
def test_unset_is_unset_whatever_was_set_before(data: bytes) -> None:
    assume(readable(data))
    without = set_string(data, "log_filters", None)
    assert parse(without).first("log_filters") is None
    assert set_string(set_string(data, "log_filters", "1:b"), "log_filters", None) == without
