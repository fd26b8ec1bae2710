// SPDX-License-Identifier: LGPL-2.1-or-later
// The whole page: what it shows depends on whether the service answers.
import {
    Bullseye, Page as PatternFlyPage, PageSection, Spinner, Stack, StackItem, Title,
} from "@patternfly/react-core";
import { useEffect } from "react";

import { _ } from "./base/cockpit";
import { Checks } from "./checks/Checks";
import { History } from "./history/History";
import { DebugLogs } from "./logs/DebugLogs";
import { Machines } from "./machines/Machines";
import { NestedCard } from "./nested/NestedCard";
import { Parameters } from "./parameters/Parameters";
import { AbsentService } from "./service/AbsentService";
import { AccessContext, useAdmin, useCheckedAccess } from "./service/access";
import { LimitedAccess } from "./service/LimitedAccess";
import { useService, useServiceState } from "./service/hooks";

export function Page() {
    const service = useService();
    const { phase } = useServiceState();
    const admin = useAdmin();
    const access = useCheckedAccess(admin);
    useEffect(() => {
        service.connect();
        return () => service.close();
    }, [service, admin]);
    return (
        <AccessContext.Provider value={access}>
            <PatternFlyPage className="nestd-page pf-m-no-sidebar" mainAriaLabel={_("Virtualization host")}>
                <PageSection hasBodyWrapper={false} variant="secondary">
                    {phase === "connecting" && <Bullseye><Spinner aria-label={_("Connecting to nestd")} /></Bullseye>}
                    {phase === "absent" && <AbsentService />}
                    {phase === "ready" && <Cards />}
                </PageSection>
            </PatternFlyPage>
        </AccessContext.Provider>
    );
}

const CARDS = [LimitedAccess, NestedCard, Machines, Checks, Parameters, DebugLogs, History];

function Cards() {
    return (
        <Stack hasGutter>
            <StackItem><Title headingLevel="h1">{_("Virtualization host")}</Title></StackItem>
            {CARDS.map((Card, index) => <StackItem key={index}><Card /></StackItem>)}
        </Stack>
    );
}
