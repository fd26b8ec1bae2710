// SPDX-License-Identifier: LGPL-2.1-or-later
import { AlertActionLink, List, ListItem } from "@patternfly/react-core";
import { useState } from "react";

import { _, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { sentence, when } from "../base/words";
import { useAccess } from "../service/access";
import type { Ended } from "../service/connection";
import { useService } from "../service/hooks";
import { JOB } from "../service/reading";
import type { Blocker, Job } from "../service/types";

const FINAL = ["done", "failed", "rolled-back", "cancelled"];

/** A reload that waits or runs: for whom it waits, and a way to give it up. */
export function JobStatus({ job }: { job: Job }) {
    const service = useService();
    const { may } = useAccess();
    const [error, setError] = useState("");
    if (FINAL.includes(job.state))
        return null;
    const cancel = async (): Promise<void> => {
        try {
            await service.call(job.path, JOB, "Cancel");
        } catch (failure) {
            setError(sentence(failure));
        }
    };
    const isWaiting = job.state === "waiting";
    return (
        <Notice variant="info" title={jobTitle(job.state)} isLiveRegion
               {...(isWaiting && may("manage")
                   ? { actionLinks: <AlertActionLink onClick={() => void cancel()}>{_("Give up")}</AlertActionLink> }
                   : {})}>
            {job.since !== undefined && <p>{format(_("Asked for on $0"), when(job.since))}</p>}
            {isWaiting && <BlockerList blockers={job.blockers} />}
            {error && <p>{error}</p>}
        </Notice>
    );
}

export function jobTitle(state: string): string {
    const titles: Record<string, string> = {
        waiting: _("A reload of the module waits until nothing uses it any more"),
        unloading: _("Unloading the module"),
        loading: _("Loading the module"),
        verifying: _("Verifying what the module runs with"),
        "rolling-back": _("Putting everything back as it was"),
    };
    return titles[state] ?? state;
}

export function BlockerList({ blockers }: { blockers: readonly Blocker[] }) {
    return (
        <List aria-label={_("In use by")}>
            {blockers.map((blocker, index) => (
                <ListItem key={index}>
                    <strong>{blocker.name || blocker.kind}</strong>
                    {blocker.pid > 0 && ` ${format(_("(process $0)"), blocker.pid)}`}
                    {blocker.detail && <span className="nestd-subtle">{` ${blocker.detail}`}</span>}
                </ListItem>
            ))}
        </List>
    );
}

/** How the last one ended, while this page was open; the history keeps it. */
export function LastEnded({ ended }: { ended: Ended }) {
    const titles: Record<string, string> = {
        done: _("The module was reloaded, and what it runs with was verified."),
        failed: _("The reload failed."),
        "rolled-back": _("The reload failed, and everything was put back."),
        cancelled: _("The reload was given up. The configuration stays as written."),
    };
    const variants = { done: "success", cancelled: "info" } as const;
    const variant = ended.result === "done" || ended.result === "cancelled" ? variants[ended.result] : "danger";
    return (
        <Notice isLiveRegion variant={variant} title={titles[ended.result] ?? ended.result}>
            {ended.error}
        </Notice>
    );
}
