# SPDX-License-Identifier: LGPL-2.1-or-later
"""The options that the next load passes, with file and line."""

from __future__ import annotations

import pytest

from nestd.formats.modprobe.next_load import Assignment, ConfigFile, NextLoad, Origin, next_load

KVM = "/etc/modprobe.d/kvm.conf"
ZZ = "/usr/lib/modprobe.d/zz.conf"


def load(kvm: bytes, zz: bytes = b"", cmdline: bytes = b"", module: str = "kvm_amd") -> NextLoad:
    return next_load([ConfigFile(KVM, kvm), ConfigFile(ZZ, zz)], cmdline, module, kmod=30)


def test_nothing_configured_passes_nothing() -> None:
    assert load(b"options kvm_intel nested=1\n") == NextLoad(
        options=b"",
        assignments=(),
        blacklisted_by=None,
        denied_by=None,
        install_by=None,
        alias_by=None,
        comment_in_options=(),
        bad_lines=(),
        option_lines=(),
        softdeps=(),
        mistyped_blacklist=None,
    )


def test_files_in_order_then_the_command_line() -> None:
    found = load(
        b"# x\noptions kvm-amd nested=1 npt=1\n",
        b"options kvm_amd \\\n  nested=0\n",
        b"quiet kvm-amd.nested=1\n",
        module="kvm-amd",
    )
    assert found.options == b"nested=1 npt=1   nested=0 nested=1"
    assert found.assignments == (
        Assignment("nested", "1", KVM, 2),
        Assignment("npt", "1", KVM, 2),
        Assignment("nested", "0", ZZ, 2),
        Assignment("nested", "1", "/proc/cmdline", 0),
    )
    assert found.effective("nested") == found.assignments[-1]
    assert found.effective("n-p-t") is None


def test_an_open_quote_swallows_the_lines_after_it() -> None:
    found = load(b'options kvm_amd a="1\noptions kvm_amd nested=1\n', b'options kvm_amd 2" b\n')
    assert found.assignments == (
        Assignment("a", "1 nested=1 2", KVM, 1),
        Assignment("b", None, ZZ, 1),
    )


def test_what_follows_two_dashes_is_no_assignment() -> None:
    found = load(b"options kvm_amd nested=1 -- npt=0\n", b"options kvm_amd avic=1\n")
    assert found.options == b"nested=1 -- npt=0 avic=1"
    assert found.assignments == (Assignment("nested", "1", KVM, 1),)


def test_names_are_shown_with_underscores_and_bytes_for_people() -> None:
    found = load("options kvm_amd en-able=\u00e9\udcff\n".encode("utf-8", "surrogateescape"))
    assert found.assignments == (Assignment("en_able", "\u00e9\\xff", KVM, 1),)


def test_paths_that_are_not_utf_8_are_shown_escaped() -> None:
    file = ConfigFile("/etc/modprobe.d/\udcff.conf", b"options kvm_amd nested=1\n")
    found = next_load([file], b"", "kvm_amd", kmod=30)
    assert found.assignments == (Assignment("nested", "1", "/etc/modprobe.d/\\xff.conf", 1),)


def test_a_comment_after_an_option_is_reported() -> None:
    text = b"options kvm_amd nested=0 # was nested=1\noptions kvm_amd npt=1#x a\n"
    found = load(text + b'options kvm_amd a="#"\noptions kvm x # y\n')
    assert found.comment_in_options == (
        Origin(KVM, 1, "nested=0 # was nested=1"),
        Origin(KVM, 2, "npt=1#x a"),
    )
    effective = found.effective("nested")
    assert effective is not None
    assert effective.value == "1"


def test_blacklists_and_the_first_install_line() -> None:
    found = load(b"blacklist kvm-amd\ninstall kvm_* /bin/first\n", b"install kvm_amd /bin/second\n")
    assert found.blacklisted_by == Origin(KVM, 1, "blacklist kvm_amd")
    assert found.install_by == Origin(KVM, 2, "install kvm_* /bin/first")
    assert load(b"", b"", b"modprobe.blacklist=kvm_amd").blacklisted_by == Origin(
        "/proc/cmdline", 0, "blacklist kvm_amd"
    )
    assert load(b"", b"", b"modprobe.blacklist=kvm-amd").blacklisted_by is None


def test_an_alias_that_diverts_the_name() -> None:
    found = load(b"alias kvm_amd kvm_amd\nalias kvm_[a]* off\n")
    assert found.alias_by == Origin(KVM, 2, "alias kvm_[a]* off")


@pytest.mark.parametrize(
    ("cmdline", "denied"),
    [
        (b"module_blacklist=kvm_amd", True),
        (b"module-blacklist=x,kvm_amd,y quiet", True),
        (b"module_blacklist=kvm-amd", False),
        (b"module_blacklist=kvm_amd module_blacklist=x", False),
        (b"-- module_blacklist=kvm_amd", False),
    ],
)
def test_the_kernels_own_blacklist(cmdline: bytes, denied: bool) -> None:
    assert (load(b"", b"", cmdline).denied_by is not None) is denied


def test_a_bad_word_of_the_command_line_is_named() -> None:
    [bad] = next_load([], b"quiet kvm[.nested=0", "kvm", kmod=30).bad_lines
    assert (bad.file, bad.line) == ("/proc/cmdline", 0)


def test_bad_lines_of_all_files_are_named_and_cut() -> None:
    found = load(b"\nmodprobe kvm_amd nested=1\n", b"x" * 300 + b"\n")
    assert found.bad_lines == (
        Origin(KVM, 2, "modprobe kvm_amd nested=1"),
        Origin(ZZ, 1, "x" * 197 + "..."),
    )


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (b"kvm_amd", True),
        (b"*", True),
        (b"kvm?amd", True),
        (b"kvm_[a-c]md", True),
        (b"kvm_[!b]md", True),
        (b"kvm_[^b]md", True),
        (b"kvm_[^a]md", False),
        (b"kvm_[c-a]md", False),
        (b"kvm\\\\_amd", True),
        (b"kvm_[\\\\a]md", True),
        (b"kvm", False),
        (b"kvm_amd?", False),
        (b"KVM_AMD", False),
        (b"kvm.amd", False),
    ],
)
def test_install_lines_have_shell_patterns(pattern: bytes, matches: bool) -> None:
    found = load(b"install " + pattern + b" /bin/true\n")
    assert (found.install_by is not None) is matches
