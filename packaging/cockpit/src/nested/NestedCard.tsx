// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    DescriptionList, DescriptionListDescription, DescriptionListGroup, DescriptionListTerm, Stack, StackItem, Switch,
} from "@patternfly/react-core";
import { type ReactNode, useState } from "react";

import { _, format } from "../base/cockpit";
import { Section } from "../base/Section";
import { Source } from "../base/Source";
import { onOff } from "../base/words";
import { ChangeDialog } from "../change/ChangeDialog";
import { useAccess } from "../service/access";
import { useJobs, useManager, useModules, useServiceState } from "../service/hooks";
import type { Manager, Module } from "../service/types";
import { JobStatus, LastEnded } from "./JobStatus";
import { StateAlerts } from "./StateAlerts";

/** Is it on, will it be after the next boot, who decides; and the switch. */
export function NestedCard() {
    const manager = useManager();
    const module = useModules().find((each) => each.path === manager.hostModule);
    return (
        <Section title={_("Nested virtualization")}>
            {module ? <NestedOfModule manager={manager} module={module} /> : <NestedOfHost manager={manager} />}
        </Section>
    );
}

function NestedOfModule({ manager, module }: { manager: Manager; module: Module }) {
    const [isOpen, setOpen] = useState(false);
    const { may } = useAccess();
    const jobs = useJobs().filter((job) => job.subject === module.path);
    const { ended } = useServiceState();
    const isOn = module.nested === "yes";
    return (
        <Stack hasGutter>
            <StackItem>
                <Switch id="nestd-nested" aria-label={_("Nested virtualization")} isChecked={isOn}
                        label={_("Virtual machines of this host can run virtual machines of their own")}
                        isDisabled={!may("configure-modules") || module.availability === "missing"}
                        onChange={() => setOpen(true)} />
            </StackItem>
            <StackItem><Facts manager={manager} module={module} /></StackItem>
            <StackItem><StateAlerts module={module} isWaiting={jobs.length > 0} /></StackItem>
            {jobs.map((job) => <StackItem key={job.path}><JobStatus job={job} /></StackItem>)}
            {ended?.subject === module.path && <StackItem><LastEnded ended={ended} /></StackItem>}
            {isOpen && (
                <ChangeDialog title={isOn ? _("Switch nested virtualization off") : _("Switch nested virtualization on")}
                              module={module} change={{ kind: "nested", enabled: !isOn }} onClose={() => setOpen(false)} />
            )}
        </Stack>
    );
}

/** A host without such a parameter: a boot parameter decides, or nothing does. */
function NestedOfHost({ manager }: { manager: Manager }) {
    if (manager.nested === undefined || !manager.backend)
        return <p>{_("This host has no KVM module with a parameter for nested virtualization. The checks below say why.")}</p>;
    return (
        <DescriptionList isHorizontal isCompact horizontalTermWidthModifier={{ default: "14ch", md: "22ch" }}>
            <Fact term={_("Now")}>{onOff(manager.nested)}</Fact>
            <Fact term={_("After the next boot")}>{onOff(manager.nestedAtBoot ?? "")}</Fact>
            {manager.nestedDecidedBy && <Fact term={_("Decided by")}><Source place={manager.nestedDecidedBy} /></Fact>}
            {manager.backend && <Fact term={_("KVM runs through")}>{manager.backend}</Fact>}
        </DescriptionList>
    );
}

function Facts({ manager, module }: { manager: Manager; module: Module }) {
    return (
        <DescriptionList isHorizontal isCompact horizontalTermWidthModifier={{ default: "14ch", md: "22ch" }}>
            <Fact term={_("Now")}>
                {module.loaded || module.availability === "builtin"
                    ? onOff(module.nested)
                    : format(_("$0 is not loaded"), module.name)}
            </Fact>
            <Fact term={_("After the next boot")}>{atBoot(module)}</Fact>
            <Fact term={_("Decided by")}><Source place={decidedBy(manager, module)} /></Fact>
            <Fact term={_("Module")}><span className="nestd-mono">{module.name}</span></Fact>
        </DescriptionList>
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

function atBoot(module: Module): string {
    if (module.nestedAtBoot !== undefined)
        return onOff(module.nestedAtBoot);
    if (module.nestedNext === "default")
        return _("The kernel's default");
    return module.nestedNext === "invalid" ? _("The module would not load") : onOff(module.nestedNext);
}

/** "FILE:LINE" or words. */
function decidedBy(manager: Manager, module: Module): string {
    if (manager.nestedDecidedBy)
        return manager.nestedDecidedBy;
    const last = module.assignments.filter((each) => each.parameter === "nested").pop();
    return last ? `${last.file}:${last.line}` : "kernel default";
}
