// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button, Stack, StackItem, Title } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";
import { useState } from "react";

import { _, format } from "../base/cockpit";
import { Section } from "../base/Section";
import { Source } from "../base/Source";
import { useAccess } from "../service/access";
import { useModules } from "../service/hooks";
import type { Module } from "../service/types";
import { ParameterDialog } from "./ParameterDialog";
import { type ParameterRow, rowsOf } from "./rows";

/** Each parameter of each module of KVM that this host uses: running, next and who decides. */
export function Parameters() {
    const modules = useModules().filter((module) => rowsOf(module).length > 0);
    const [edited, setEdited] = useState<{ path: string; parameter: string } | null>(null);
    const module = modules.find(({ path }) => path === edited?.path);
    return (
        <Section title={_("Module parameters")}>
            <Stack hasGutter>
                {modules.length === 0 && <StackItem>{_("No module of KVM is loaded or configured.")}</StackItem>}
                {modules.map((each) => (
                    <StackItem key={each.path}>
                        <ModuleTable module={each} onEdit={(parameter) => setEdited({ path: each.path, parameter })} />
                    </StackItem>
                ))}
            </Stack>
            {edited && module && (
                <ParameterDialog module={module} parameter={edited.parameter} onClose={() => setEdited(null)} />
            )}
        </Section>
    );
}

function ModuleTable({ module, onEdit }: { module: Module; onEdit: (parameter: string) => void }) {
    const { may } = useAccess();
    return (
        <>
            <Title headingLevel="h3" size="md" className="nestd-mono">{module.name}</Title>
            <Table variant="compact" aria-label={format(_("Parameters of $0"), module.name)}>
                <Thead>
                    <Tr>
                        <Th>{_("Parameter")}</Th>
                        <Th>{_("Running")}</Th>
                        <Th>{_("Next load")}</Th>
                        <Th>{_("Decided by")}</Th>
                        <Th screenReaderText={_("Change")} />
                    </Tr>
                </Thead>
                <Tbody>
                    {rowsOf(module).map((row) => (
                        <Tr key={row.parameter}>
                            <Td dataLabel={_("Parameter")}><span className="nestd-mono">{row.parameter}</span></Td>
                            <Td dataLabel={_("Running")}><span className="nestd-mono">{row.running ?? "–"}</span></Td>
                            <Td dataLabel={_("Next load")}><Next row={row} /></Td>
                            <Td dataLabel={_("Decided by")}><Source place={row.place} /></Td>
                            <Td dataLabel={_("Change")}>
                                {may("configure-modules") && (
                                    <Button variant="link" isInline onClick={() => onEdit(row.parameter)}
                                            aria-label={format(_("Change $0 of $1"), row.parameter, module.name)}>
                                        {_("Change")}
                                    </Button>
                                )}
                            </Td>
                        </Tr>
                    ))}
                </Tbody>
            </Table>
        </>
    );
}

function Next({ row }: { row: ParameterRow }) {
    const value = row.next ?? <span className="nestd-subtle">{_("Default")}</span>;
    return <span className="nestd-mono">{row.isPending ? <strong>{value}</strong> : value}</span>;
}
