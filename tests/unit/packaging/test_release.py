# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of packaging/release.py that need no build, and the SBOM."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PACKAGING = CHECKOUT / "packaging"
RELEASE: dict[str, Any] = runpy.run_path(str(PACKAGING / "release.py"))
WHEN = datetime(2026, 12, 1, 9, 30, tzinfo=timezone.utc)
WITH_A_VERSION = (
    "NEWS.md",
    "nestd/__init__.py",
    "packaging/ansible/galaxy.yml",
    "packaging/debian/changelog",
    "packaging/nestd.spec",
    "packaging/selinux/nestd.te",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that set_version() edits, with news of an upcoming version."""
    for name in WITH_A_VERSION:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    news = tmp_path / "NEWS.md"
    news.write_text("# News\n\n## 7.8.9 (not released)\n\n- One.\n\n## 0.2.0\n\n- Two.\n")
    return tmp_path


def test_a_version_is_set_wherever_it_stands(tree: Path) -> None:
    RELEASE["set_version"](tree, "7.8.9", WHEN)
    texts = {name: (tree / name).read_text() for name in WITH_A_VERSION}
    assert '\n__version__ = "7.8.9"\n' in texts["nestd/__init__.py"]
    assert "\n## 7.8.9 (2026-12-01)\n\n- One." in texts["NEWS.md"]
    assert "\nVersion:        7.8.9\n" in texts["packaging/nestd.spec"]
    assert (
        "\n%changelog\n* Tue Dec 01 2026 nestd developers - 7.8.9-1\n- See NEWS.md\n\n* "
        in texts["packaging/nestd.spec"]
    )
    changelog = texts["packaging/debian/changelog"]
    assert changelog.startswith("nestd (7.8.9-1) unstable; urgency=medium\n\n  * See NEWS.md.\n\n")
    assert "<root@localhost>  Tue, 01 Dec 2026 09:30:00 +0000\n\nnestd (" in changelog
    assert "policy_module(nestd, 7.8.9)" in texts["packaging/selinux/nestd.te"]
    assert "\nversion: 7.8.9\n" in texts["packaging/ansible/galaxy.yml"]


def test_the_versions_of_now_are_one() -> None:
    version = re.findall('__version__ = "(.*)"', (CHECKOUT / "nestd/__init__.py").read_text())[0]
    assert f"\nVersion:        {version}\n" in (PACKAGING / "nestd.spec").read_text()
    assert (PACKAGING / "debian/changelog").read_text().startswith(f"nestd ({version}-1) ")


def _checkout(tree: Path) -> None:
    git = ["git", "-C", str(tree), "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)


@pytest.mark.needs("git")
def test_a_release_begins_with_a_clean_checkout_and_its_news(tree: Path) -> None:
    _checkout(tree)
    RELEASE["check_start"](tree, "7.8.9")
    refused = RELEASE["CannotRelease"]
    with pytest.raises(refused, match=r"7\.9 is no version"):
        RELEASE["check_start"](tree, "7.9")
    with pytest.raises(refused, match=r"NEWS\.md does not begin with"):
        RELEASE["check_start"](tree, "7.9.0")
    subprocess.run(["git", "-C", str(tree), "tag", "v7.8.9"], check=True)
    with pytest.raises(refused, match="is released already"):
        RELEASE["check_start"](tree, "7.8.9")
    (tree / "NEWS.md").write_text("")
    with pytest.raises(refused, match="not committed"):
        RELEASE["check_start"](tree, "7.8.9")


def test_too_few_packages_are_no_release(tmp_path: Path) -> None:
    with pytest.raises(RELEASE["CannotRelease"], match="too few"):
        RELEASE["check_files"](tmp_path, "7.8.9")


def _sbom(*files: Path) -> dict[str, Any]:
    command = [sys.executable, str(PACKAGING / "sbom.py"), *map(str, files)]
    document = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert isinstance(document, dict)
    return document


def test_the_sbom_names_what_nestd_needs_and_has(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_text("x")
    found = _sbom(tmp_path / "a.deb")
    assert (found["spdxVersion"], found["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    packages = {package["SPDXID"]: package for package in found["packages"]}
    assert len(packages) == len(found["packages"])
    related = {
        (each["relationshipType"], packages[each["relatedSpdxElement"]]["name"])
        for each in found["relationships"]
        if each["relatedSpdxElement"] in packages
    }
    wanted = ("configobj", "dbus-next", "defusedxml", "pyudev", "rich")
    assert {("DEPENDS_ON", name) for name in wanted} <= related
    assert ("DESCRIBES", "nestd") in related
    assert any(kind == "CONTAINS" and "react" in name for kind, name in related), (
        "Cockpit's page is made of it"
    )
    [file] = found["files"]
    sums = {each["algorithm"]: each["checksumValue"] for each in file["checksums"]}
    assert sums["SHA256"] == hashlib.sha256(b"x").hexdigest()


def test_the_sbom_tells_files_of_one_name_apart(tmp_path: Path) -> None:
    (tmp_path / "RHEL").mkdir()
    paths = (tmp_path / "a.rpm", tmp_path / "RHEL" / "a.rpm")
    for path in paths:
        path.write_text(str(path))
    files = _sbom(*paths)["files"]
    assert [file["fileName"] for file in files] == ["./a.rpm", "./RHEL/a.rpm"]
    assert len({file["SPDXID"] for file in files}) == 2


def test_the_sbom_of_the_same_files_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_text("x")
    assert _sbom(tmp_path / "a.deb") == _sbom(tmp_path / "a.deb")
