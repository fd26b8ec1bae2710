// SPDX-License-Identifier: LGPL-2.1-or-later
import { Icon, List, ListItem, Stack, StackItem } from "@patternfly/react-core";
import CheckCircleIcon from "@patternfly/react-icons/dist/esm/icons/check-circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon";
import ExclamationTriangleIcon from "@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon";
import InfoCircleIcon from "@patternfly/react-icons/dist/esm/icons/info-circle-icon";
import type { ReactNode } from "react";

import { _ } from "../base/cockpit";
import { CopyButton, CopyText } from "../base/CopyText";
import type { Finding, Verdict } from "../service/types";

const ORDER: Verdict[] = ["fail", "warn", "note", "pass"];

export function bySeverity(findings: readonly Finding[]): Finding[] {
    return [...findings].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
}

export function FindingList({ findings, label }: { findings: readonly Finding[]; label: string }) {
    return (
        <List isPlain isBordered aria-label={label}>
            {bySeverity(findings).map((finding) => (
                <ListItem key={finding.id} icon={<VerdictIcon verdict={finding.verdict} />}>
                    <Stack>
                        <StackItem>{finding.summary}</StackItem>
                        {finding.hint && <StackItem><Hint hint={finding.hint} /></StackItem>}
                    </Stack>
                </ListItem>
            ))}
        </List>
    );
}

/** A remedy, with a button that copies it: what follows its first line, XML or commands, where there is more. */
function Hint({ hint }: { hint: string }) {
    const [words = "", ...lines] = hint.split("\n");
    const command = lines.join("\n");
    return (
        <>
            <p className="nestd-subtle">{words} {!command && <CopyButton text={words} isInline />}</p>
            {command && <CopyText text={command} />}
        </>
    );
}

function VerdictIcon({ verdict }: { verdict: Verdict }) {
    const kinds: Record<Verdict, [ReactNode, "success" | "info" | "warning" | "danger", string]> = {
        pass: [<CheckCircleIcon key="pass" />, "success", _("Passed")],
        note: [<InfoCircleIcon key="note" />, "info", _("Note")],
        warn: [<ExclamationTriangleIcon key="warn" />, "warning", _("Warning")],
        fail: [<ExclamationCircleIcon key="fail" />, "danger", _("Failed")],
    };
    const [icon, status, name] = kinds[verdict] ?? kinds.note;
    return <Icon status={status} role="img" aria-label={name}>{icon}</Icon>;
}
