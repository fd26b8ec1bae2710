# SPDX-License-Identifier: LGPL-2.1-or-later
"""The controller's part of support_archive: makes the host's archive, fetches and removes it."""

from __future__ import annotations

import os

from ansible.plugins.action import ActionBase

_OPTIONS = frozenset(("dest", "max_size"))


class ActionModule(ActionBase):
    """See the module's documentation."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Collect and fetch; returns the task's result."""
        result = super().run(tmp, task_vars)
        given = self._task.args
        unknown = sorted(set(given) - _OPTIONS)
        if unknown or not given.get("dest"):
            text = "dest is missing." if not unknown else f"There is no option {unknown[0]}."
            return dict(result, failed=True, msg=text)
        dest = self._destination(str(given["dest"]), task_vars["inventory_hostname"])
        made = self._collect(given, task_vars)
        if made.get("failed") or self._task.check_mode:
            return dict(result, **dict(made, dest=dest))
        try:
            fetched = self._fetch(made["dest"], dest, task_vars)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir, force=True)
        if fetched.get("failed"):
            return dict(result, failed=True, msg=fetched.get("msg", "The archive was not fetched."))
        os.chmod(dest, 0o600)
        return dict(result, changed=True, dest=dest, size=made["size"])

    def _destination(self, dest, host):
        path = os.path.join(dest, host + ".tar.gz") if dest.endswith("/") else dest
        return self._loader.path_dwim(path)

    def _collect(self, given, task_vars):
        """Run the module; its archive is in the host's temporary directory. Returns its result."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        path = self._connection._shell.join_path(self._connection._shell.tmpdir, "support.tar.gz")
        arguments = {"dest": path, "max_size": given.get("max_size")}
        name = "nestd.kvm.support_archive"
        return self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)

    def _fetch(self, path, dest, task_vars):
        task = self._task.copy()
        task.args = {"src": path, "dest": dest, "flat": True}
        fetch = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.fetch",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return fetch.run(task_vars=task_vars)
