// SPDX-License-Identifier: LGPL-2.1-or-later
import { Label } from "@patternfly/react-core";
import { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table";

import { _, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { Section } from "../base/Section";
import { when } from "../base/words";
import { useAnswer, useService } from "../service/hooks";
import { list, MANAGER, readHistoryEntry, ROOT } from "../service/reading";
import type { HistoryEntry } from "../service/types";
import { useUserNames } from "./useUserNames";

/** What was changed, by whom, and how it ended. */
export function History() {
    const service = useService();
    const answer = useAnswer(async () => list((await service.call(ROOT, MANAGER, "ListHistory"))[0]).map(readHistoryEntry));
    const names = useUserNames();
    return (
        <Section title={_("History")}>
            {answer.missing && <p>{_("This version of nestd keeps no history.")}</p>}
            {answer.error && !answer.missing && <Notice variant="danger" title={answer.error} />}
            {answer.value?.length === 0 && <p>{_("Nothing has been changed yet.")}</p>}
            {answer.value && answer.value.length > 0 && <Entries entries={answer.value} names={names} />}
        </Section>
    );
}

function Entries({ entries, names }: { entries: readonly HistoryEntry[]; names: ReadonlyMap<number, string> }) {
    return (
        <Table variant="compact" aria-label={_("History")}>
            <Thead>
                <Tr>
                    <Th>{_("Time")}</Th>
                    <Th>{_("What")}</Th>
                    <Th>{_("Who")}</Th>
                    <Th>{_("Result")}</Th>
                </Tr>
            </Thead>
            <Tbody>
                {entries.map((entry, index) => (
                    <Tr key={index}>
                        <Td dataLabel={_("Time")}>{when(entry.time)}</Td>
                        <Td dataLabel={_("What")}>
                            {kindOf(entry.kind)} <span className="nestd-mono">{nameOf(entry.subject)}</span>
                            {entry.asked && <p>{entry.asked}</p>}
                            {entry.error && <p className="nestd-subtle">{entry.error}</p>}
                        </Td>
                        <Td dataLabel={_("Who")}>{whoOf(entry, names)}</Td>
                        <Td dataLabel={_("Result")}><Result result={entry.result} /></Td>
                    </Tr>
                ))}
            </Tbody>
        </Table>
    );
}

function whoOf({ kind, uid }: HistoryEntry, names: ReadonlyMap<number, string>): string {
    if (uid !== undefined)
        return names.get(uid) ?? format(_("User $0"), uid);
    return kind === "foreign" ? _("Somebody else, not through nestd") : "–";
}

/** Of an object's path its last part; a file as it is. */
function nameOf(subject: string): string {
    return subject.startsWith("/org/nestd1/") ? subject.slice(subject.lastIndexOf("/") + 1) : subject;
}

function kindOf(kind: string): string {
    const kinds: Record<string, string> = {
        change: _("Change:"),
        reload: _("Reload:"),
        logs: _("Log filters:"),
        debug: _("Debug session:"),
        foreign: _("Changed from outside:"),
    };
    return kinds[kind] ?? kind;
}

function Result({ result }: { result: string }) {
    const results: Record<string, [string, "green" | "red" | "orange" | "grey"]> = {
        done: [_("Done"), "green"],
        failed: [_("Failed"), "red"],
        refused: [_("Refused"), "orange"],
        "rolled-back": [_("Put back"), "red"],
        cancelled: [_("Given up"), "grey"],
    };
    const [words, color] = results[result] ?? [result, "grey"];
    return words ? <Label variant="outline" color={color}>{words}</Label> : null;
}
