// SPDX-License-Identifier: LGPL-2.1-or-later
import { Stack, StackItem } from "@patternfly/react-core";
import type { ReactNode } from "react";

import { _, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { Source } from "../base/Source";
import type { Module, Obstacle } from "../service/types";

/** What stands between what runs, what is configured and what the next load will use; a reload that waits says that itself. */
export function StateAlerts({ module, isWaiting }: { module: Module; isWaiting: boolean }) {
    const alerts: ReactNode[] = [];
    const text = stateText(module);
    if (text && !(isWaiting && module.state === "reload-pending"))
        alerts.push(<Notice variant={text.isError ? "danger" : "warning"} title={text.title} />);
    if (module.readError)
        alerts.push(<Notice variant="warning" title={_("What runs cannot be read")}>{module.readError}</Notice>);
    for (const obstacle of module.obstacles)
        alerts.push(<Notice variant="warning" title={obstacleTitle(module, obstacle)}>
            {obstacle.text && <p className="nestd-mono">{obstacle.text}</p>}
            {obstacle.file && <Source place={obstacle.line ? `${obstacle.file}:${obstacle.line}` : obstacle.file} />}
        </Notice>);
    if (alerts.length === 0)
        return null;
    return <Stack hasGutter>{alerts.map((each, index) => <StackItem key={index}>{each}</StackItem>)}</Stack>;
}

function stateText({ state, name }: Module): { title: string; isError: boolean } | null {
    const titles: Record<string, string> = {
        "reload-pending": format(_("$0 runs with other values than its next load will use."), name),
        overridden: _("Another file or the kernel command line beats what /etc/modprobe.d/kvm.conf says."),
        builtin: format(_("$0 is built into the kernel: only the kernel command line and a reboot change it."), name),
        missing: format(_("This kernel has no module $0."), name),
        "config-error": format(_("With this configuration the next load of $0 would fail."), name),
    };
    const title = titles[state];
    return title === undefined ? null : { title, isError: state === "config-error" };
}

function obstacleTitle(module: Module, { kind }: Obstacle): string {
    const titles: Record<string, string> = {
        blacklist: _("$0 is not loaded at boot: a blacklist names it."),
        install: _("modprobe runs a command in place of loading $0."),
        alias: _("An alias makes modprobe load something else than $0."),
        denied: _("The kernel command line forbids loading $0."),
        value: _("$0 would refuse one of its values."),
        file: _("modprobe would stop at a file before it loads $0."),
        dependency: _("A module that $0 needs would not be loaded."),
        "unknown-parameter": _("A parameter that $0 does not have is set."),
    };
    return format(titles[kind] ?? kind, module.name);
}
