// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    Button, Card, CardBody, CardFooter, CardTitle, DescriptionList, DescriptionListDescription,
    DescriptionListGroup, DescriptionListTerm, Flex, Label, Stack, StackItem,
} from "@patternfly/react-core";
import { type ReactNode, useState } from "react";

import { _ } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { useWhileLookedAt } from "../base/useVisible";
import { useAccess } from "../service/access";
import { useAnswer, useService } from "../service/hooks";
import { LOG_DAEMON, text } from "../service/reading";
import type { LogDaemon } from "../service/types";
import { DebugDialog } from "./DebugDialog";
import { DebugSession } from "./DebugSession";
import { FiltersDialog } from "./FiltersDialog";

const SECONDS = 5;

/** One daemon: what it logs now, what from its next start, its debug session. */
export function DaemonCard({ daemon }: { daemon: LogDaemon }) {
    const { may } = useAccess();
    const [open, setOpen] = useState<"debug" | "filters" | null>(null);
    const id = `nestd-daemon-${daemon.name}`;
    return (
        <Card isCompact component="article" aria-labelledby={id}>
            <CardTitle component="h3" id={id}>
                <Flex columnGap={{ default: "columnGapSm" }}>
                    <span className="nestd-mono">{daemon.name}</span>
                    <Activation daemon={daemon} />
                </Flex>
            </CardTitle>
            <CardBody>
                <Stack hasGutter>
                    <StackItem>
                        <DescriptionList isCompact>
                            <Running daemon={daemon} />
                            <Fact term={_("From its next start")}><Filters filters={daemon.filters} /></Fact>
                        </DescriptionList>
                    </StackItem>
                    {problems(daemon).map((each) => (
                        <StackItem key={each}><Notice isPlain variant="warning" title={each} /></StackItem>
                    ))}
                    {daemon.debugUntil > 0 && <StackItem><DebugSession daemon={daemon} /></StackItem>}
                </Stack>
            </CardBody>
            <CardFooter>
                <Flex>
                    {daemon.debugUntil === 0 && may("debug-logs") && (
                        <Button variant="secondary" size="sm" onClick={() => setOpen("debug")}>{_("Debug for some time")}</Button>
                    )}
                    {may("configure-logs") && (
                        <Button variant="link" size="sm" onClick={() => setOpen("filters")}>{_("Set filters")}</Button>
                    )}
                </Flex>
            </CardFooter>
            {open === "debug" && <DebugDialog daemon={daemon} onClose={() => setOpen(null)} />}
            {open === "filters" && <FiltersDialog daemon={daemon} onClose={() => setOpen(null)} />}
        </Card>
    );
}

/** A sentence of the warnings that has the fault of the file in it says more than the fault alone. */
function problems({ overriddenBy, configError, warnings }: LogDaemon): string[] {
    const fault = warnings.some((each) => each.includes(configError)) ? "" : configError;
    return [fault, overriddenBy && `${_("The daemon does not start with these values:")} ${overriddenBy}`, ...warnings]
        .filter((each) => each !== "");
}

function Activation({ daemon: { active, activation } }: { daemon: LogDaemon }) {
    if (active)
        return <Label isCompact color="green">{_("Running")}</Label>;
    return <Label isCompact>{activation === "socket" ? _("Starts when it is needed") : _("Not running")}</Label>;
}

/** What it uses at this moment, which no signal tells: asked while the page is looked at. */
function Running({ daemon }: { daemon: LogDaemon }) {
    const service = useService();
    const { value, refresh } = useAnswer(async () => {
        if (!daemon.active)
            return undefined;
        return (await service.call(daemon.path, LOG_DAEMON, "GetRunning")).map(text);
    }, String(daemon.active));
    useWhileLookedAt(daemon.active, SECONDS, refresh);
    if (!daemon.active)
        return null;
    return (
        <Fact term={_("Logs now")}>{value ? <Filters filters={value[0] ?? ""} /> : _("Not known")}</Fact>
    );
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
    return (
        <DescriptionListGroup>
            <DescriptionListTerm>{term}</DescriptionListTerm>
            <DescriptionListDescription>{children}</DescriptionListDescription>
        </DescriptionListGroup>
    );
}

function Filters({ filters }: { filters: string }) {
    return filters ? <span className="nestd-mono">{filters}</span> : <>{_("libvirt's default")}</>;
}
