// SPDX-License-Identifier: LGPL-2.1-or-later
import { ExpandableSection, Skeleton, Stack, StackItem } from "@patternfly/react-core";
import { useState } from "react";

import { _, format, ngettext } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { Section } from "../base/Section";
import { useAnswer, useService } from "../service/hooks";
import { MANAGER, readFindings, ROOT } from "../service/reading";
import { FindingList } from "./FindingList";
import { Posture } from "./Posture";

/** Is this host fit for nested virtualization: what is not comes first, what is lies folded. */
export function Checks() {
    const service = useService();
    const answer = useAnswer(async () => readFindings((await service.call(ROOT, MANAGER, "Validate"))[0]));
    const [isOpen, setOpen] = useState(false);
    const findings = answer.value;
    const open = findings?.filter(({ verdict }) => verdict === "fail" || verdict === "warn") ?? [];
    const rest = findings?.filter((each) => !open.includes(each)) ?? [];
    const folded = format(ngettext("$0 check passed or is a note", "$0 checks passed or are notes", rest.length), rest.length);
    return (
        <Section title={_("Checks")}>
            <Stack hasGutter>
                {answer.error && <StackItem><Notice variant="danger" title={answer.error} /></StackItem>}
                {!findings && !answer.error && <StackItem><Skeleton screenreaderText={_("Checking")} /></StackItem>}
                {findings && open.length === 0 && <StackItem>{_("This host is fit for nested virtualization.")}</StackItem>}
                {open.length > 0 && <StackItem><FindingList findings={open} label={_("Problems")} /></StackItem>}
                {findings && (
                    <StackItem>
                        <ExpandableSection toggleText={folded} isExpanded={isOpen} isIndented
                                           onToggle={(_event, expanded) => setOpen(expanded)}>
                            <FindingList findings={rest} label={_("Passed checks and notes")} />
                        </ExpandableSection>
                    </StackItem>
                )}
                <Posture />
            </Stack>
        </Section>
    );
}
