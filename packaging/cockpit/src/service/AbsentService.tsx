// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button, EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from "@patternfly/react-core";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import { useState } from "react";

import { _, cockpit } from "../base/cockpit";
import { sentence } from "../base/words";
import { useAccess } from "./access";
import { AdminAccessButton } from "./AdminAccess";
import { useService, useServiceState } from "./hooks";

/** In place of the page while nothing answers at nestd's name. */
export function AbsentService() {
    const service = useService();
    const { problem } = useServiceState();
    const { admin } = useAccess();
    const [starting, setStarting] = useState(false);
    const [error, setError] = useState("");
    const start = async (): Promise<void> => {
        setStarting(true);
        setError("");
        try {
            await cockpit.spawn(["systemctl", "start", "nestd.service"], { superuser: "require", err: "message" });
            service.connect();
        } catch (failure) {
            setError(sentence(failure));
        }
        setStarting(false);
    };
    return (
        <EmptyState headingLevel="h1" titleText={_("The nestd service is not running")} icon={ExclamationCircleIcon}>
            <EmptyStateBody>
                <p>{_("This page shows and changes nested virtualization and libvirt's logs through the nestd service.")}</p>
                {(error || problem) && <p className="nestd-mono" role="status">{error || problem}</p>}
            </EmptyStateBody>
            <EmptyStateFooter>
                <EmptyStateActions>
                    {admin
                        ? <Button onClick={() => void start()} isLoading={starting} isDisabled={starting}>{_("Start nestd")}</Button>
                        : <AdminAccessButton />}
                </EmptyStateActions>
            </EmptyStateFooter>
        </EmptyState>
    );
}
