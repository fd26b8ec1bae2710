# SPDX-License-Identifier: LGPL-2.1-or-later
"""A change of log settings in a configuration file, derived but not yet made."""

from __future__ import annotations

from dataclasses import dataclass

from nestd.core.errors import ConfigUnparsable
from nestd.core.logs.settings.request import LogSettings
from nestd.core.logs.settings.state import FILTERS, LEVEL, OUTPUTS, LogConfig, located, read_config
from nestd.formats.excerpt import excerpt
from nestd.formats.libvirt import log_filters, log_outputs
from nestd.formats.libvirt.conf import MAX_BYTES, ConfError, Entry, parse
from nestd.formats.libvirt.conf_edit import EditError, dead_duplicates, set_string
from nestd.formats.unified_diff import unified_diff
from nestd.host.editing.replacement import Replacement, prepare
from nestd.host.files import read_below
from nestd.host.root import Root


@dataclass(frozen=True)
class FileChange:
    """The present content of a file (None: no file), and the new content."""

    path: str
    old: bytes | None
    data: bytes

    @property
    def edits(self) -> bool:
        """Whether anything changes."""
        return self.data != (self.old or b"")

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        return unified_diff(self.old or b"", self.data, self.path)

    @property
    def public_diff(self) -> str:
        """The diff of only the log settings, which all may see even if the file is private."""
        return unified_diff(_public(self.old or b""), _public(self.data), self.path)

    @property
    def outcome(self) -> LogConfig:
        """The settings in the new file."""
        return read_config(self.data, self.path)

    def replacement(self, root: Root) -> Replacement:
        """Prepare the new file beside the old one. Raises OSError."""
        return prepare(root.follow(self.path), self.data, self.old)


def read_bytes(root: Root, path: str) -> bytes | None:
    """The file's bytes, None if it does not exist. Raises OSError, also above libvirt's limit."""
    return read_below(root, path, MAX_BYTES)


def change_file(path: str, old: bytes | None, settings: LogSettings) -> FileChange:
    """Derive the edit that sets SETTINGS in the file; values already set stay as written.

    Raises ConfigUnparsable if libvirt cannot read the file, or if it cannot be edited.
    """
    wanted = {FILTERS: log_filters.canonical(settings.filters)}
    if settings.outputs is not None:
        wanted[OUTPUTS] = log_outputs.canonical(settings.outputs)
    data = old or b""
    try:
        present = _present(data, path)
        for name, value in wanted.items():
            if present.get(name) != value:
                data = set_string(data, name, value or None)
    except ConfError as error:
        raise ConfigUnparsable(f"libvirt cannot read {located(path, error)}.") from error
    except EditError as error:
        raise ConfigUnparsable(f"{path} cannot be edited: {error}.") from error
    return FileChange(path, old, data)


def _public(data: bytes) -> bytes:
    shown = [each for each in parse(data).entries if each.name in (FILTERS, OUTPUTS, LEVEL)]
    return excerpt(data, [(each.start, each.value_end) for each in shown])


def duplicates(change: FileChange) -> tuple[str, ...]:
    """Warnings about assignments that have no effect because an earlier one counts."""
    return tuple(
        f"{change.path}:{line}: {name} is assigned again, which has no effect."
        for name in (FILTERS, OUTPUTS)
        for line in dead_duplicates(change.data, name)
    )


def _present(data: bytes, path: str) -> dict[str, str]:
    """The valid settings in canonical form; a setting that is not set is ""."""
    conf = parse(data)
    config = read_config(data, path)
    settings = {
        FILTERS: log_filters.canonical(config.filters),
        OUTPUTS: log_outputs.canonical(config.outputs),
    }
    # An empty value may represent one that libvirt rejects, which must be replaced.
    return {
        name: value for name, value in settings.items() if value or not _assigned(conf.first(name))
    }


def _assigned(entry: Entry | None) -> bool:
    return entry is not None and entry.value != b""
