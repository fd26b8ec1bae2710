// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button, EmptyState, EmptyStateBody, Stack, StackItem } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";

import { _, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { Section } from "../base/Section";
import { useWhileLookedAt } from "../base/useVisible";
import { useManager } from "../service/hooks";
import type { Guest } from "../service/types";
import { GuestCheckDialog } from "./GuestCheckDialog";
import { NestingCell } from "./NestingCell";
import { useGuests } from "./useGuests";

const SECONDS = 5;

/** The virtual machines that run, of any VMM, and what each has of nesting. */
export function Machines() {
    const { machinesKnown } = useManager();
    const { guests, error, isTold, refresh } = useGuests();
    // Whether a guest runs one of its own has no signal.
    useWhileLookedAt(isTold && guests !== undefined && guests.length > 0, SECONDS, refresh);
    const [checked, setChecked] = useState<Guest | "file" | null>(null);
    return (
        <Section title={_("Machines")}
                 actions={<Button variant="secondary" onClick={() => setChecked("file")}>{_("Check a guest's XML")}</Button>}>
            <Stack hasGutter>
                {machinesKnown === false && (
                    <StackItem>
                        <Notice variant="warning" title={_("nestd may not look at other users' processes: there may be more machines.")} />
                    </StackItem>
                )}
                {error && <StackItem><Notice variant="danger" title={error} /></StackItem>}
                {guests && guests.length === 0 && (
                    <StackItem>
                        <EmptyState variant="xs" titleText={_("No virtual machine runs")} headingLevel="h3">
                            <EmptyStateBody>{_("Machines of libvirt, QEMU and every other program that uses KVM are shown here.")}</EmptyStateBody>
                        </EmptyState>
                    </StackItem>
                )}
                {guests && guests.length > 0 && <StackItem><GuestTable guests={guests} onCheck={setChecked} /></StackItem>}
            </Stack>
            {checked && (
                <GuestCheckDialog domain={checked === "file" ? null : checked.name} onClose={() => setChecked(null)} />
            )}
        </Section>
    );
}

function GuestTable({ guests, onCheck }: { guests: readonly Guest[]; onCheck: (guest: Guest) => void }) {
    return (
        <Table variant="compact" aria-label={_("Running machines")}>
            <Thead>
                <Tr>
                    <Th>{_("Name")}</Th>
                    <Th>{_("Program")}</Th>
                    <Th modifier="wrap">{_("Can run machines")}</Th>
                    <Th modifier="wrap">{_("Runs machines")}</Th>
                    <Th screenReaderText={_("Check")} />
                </Tr>
            </Thead>
            <Tbody>
                {guests.map((guest) => (
                    <Tr key={guest.pid}>
                        <Td dataLabel={_("Name")}>{guest.name}</Td>
                        <Td dataLabel={_("Program")}>
                            {guest.vmm} <span className="nestd-subtle">{format(_("(process $0)"), guest.pid)}</span>
                        </Td>
                        <Td dataLabel={_("Can run machines")}><NestingCell value={guest.exposed} why={guest.exposedBy} /></Td>
                        <Td dataLabel={_("Runs machines")}><NestingCell value={guest.nesting} why={guest.nestingBy} /></Td>
                        <Td dataLabel={_("Check")}>
                            {isOfLibvirt(guest) && (
                                <Button variant="link" isInline aria-label={format(_("Check $0"), guest.name)} onClick={() => onCheck(guest)}>
                                    {_("Check")}
                                </Button>
                            )}
                        </Td>
                    </Tr>
                ))}
            </Tbody>
        </Table>
    );
}

/** libvirt registers its machines with systemd-machined, which names their scopes so. */
function isOfLibvirt({ unit }: Guest): boolean {
    return /^machine-(qemu|lxc)/.test(unit);
}
