// SPDX-License-Identifier: LGPL-2.1-or-later
import { AlertActionLink } from "@patternfly/react-core";
import { useState } from "react";

import { _, cockpit, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { useNow } from "../base/useVisible";
import { duration, sentence } from "../base/words";
import { useAccess } from "../service/access";
import { useService } from "../service/hooks";
import { LOG_DAEMON } from "../service/reading";
import type { LogDaemon } from "../service/types";

/** The debug session that runs: its time and size, and a way to end it. */
export function DebugSession({ daemon }: { daemon: LogDaemon }) {
    const service = useService();
    const { may } = useAccess();
    const now = useNow(daemon.debugUntil > 0);
    const [error, setError] = useState("");
    const stop = async (): Promise<void> => {
        try {
            await service.call(daemon.path, LOG_DAEMON, "StopDebug");
        } catch (failure) {
            setError(sentence(failure));
        }
    };
    const left = Math.max(0, Math.ceil(daemon.debugUntil / 1e6 - now));
    return (
        <Notice variant="info" title={_("Debug session")}
               {...(may("debug-logs")
                   ? { actionLinks: <AlertActionLink onClick={() => void stop()}>{_("Stop")}</AlertActionLink> }
                   : {})}>
            <p><span role="timer">{format(_("Ends in $0"), duration(left))}</span></p>
            {daemon.debugFilters && <p className="nestd-mono">{daemon.debugFilters}</p>}
            {daemon.debugFile && <p className="nestd-mono">{daemon.debugFile}</p>}
            {daemon.debugBytes !== undefined && <p>{format(_("$0 written"), cockpit.format_bytes(daemon.debugBytes))}</p>}
            {error && <p role="alert">{error}</p>}
        </Notice>
    );
}
