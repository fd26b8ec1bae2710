// SPDX-License-Identifier: LGPL-2.1-or-later
import { ExpandableSection, StackItem } from "@patternfly/react-core";
import { useState } from "react";

import { _ } from "../base/cockpit";
import { useAnswer, useService } from "../service/hooks";
import { MANAGER, readFindings, ROOT } from "../service/reading";
import { FindingList } from "./FindingList";

/** What makes nesting a risk on this host; nothing where the service does not tell. */
export function Posture() {
    const service = useService();
    const { value } = useAnswer(async () => readFindings((await service.call(ROOT, MANAGER, "Posture"))[0]));
    const [isOpen, setOpen] = useState(false);
    if (!value?.length)
        return null;
    return (
        <StackItem>
            <ExpandableSection toggleText={_("Security of nested virtualization on this host")} isExpanded={isOpen} isIndented
                               onToggle={(_event, expanded) => setOpen(expanded)}>
                <FindingList findings={value} label={_("Security of nested virtualization on this host")} />
            </ExpandableSection>
        </StackItem>
    );
}
