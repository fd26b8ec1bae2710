# SPDX-License-Identifier: LGPL-2.1-or-later
"""nestd's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestd.daemon import command_line
from nestd.formats import simulation


@pytest.mark.parametrize("root", ["/", "//", "///", "/.", "/tmp/..", "/does-not-exist/..", "LINK"])
def test_no_host_is_simulated_in_the_place_of_this_machine(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "link"
    link.symlink_to("/")
    given = str(link) if root == "LINK" else root
    with pytest.raises(SystemExit) as caught:
        command_line.parse(["--simulate", "intel", "--root", given])
    assert caught.value.code == 2
    assert "is this machine itself" in capsys.readouterr().err.splitlines()[-1]


def test_a_host_is_simulated_below_any_other_directory(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "new"):
        assert command_line.parse(["--simulate", "amd", "--root", str(root)]).root == root


def test_this_machine_may_be_named_as_the_root() -> None:
    assert command_line.parse(["--root", "/"]).root == Path("/")


def test_the_list_of_simulated_hosts_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.parse(["--simulate", "help"])
    assert caught.value.code == 0
    assert capsys.readouterr() == (simulation.listing(), "")
