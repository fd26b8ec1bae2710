// SPDX-License-Identifier: LGPL-2.1-or-later
import { List, ListItem, Stack, StackItem, Title } from "@patternfly/react-core";

import { _ } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { BlockerList } from "../nested/JobStatus";
import type { Plan, When } from "../service/types";
import { Diff } from "./Diff";

/** What nestd says it would do: what blocks it, warnings, the steps and the file's change. */
export function PlanView({ plan, when }: { plan: Plan; when: When }) {
    return (
        <Stack hasGutter>
            {plan.blockers.length > 0 && (
                <StackItem>
                    <Notice variant={when === "now" ? "danger" : "info"}
                           title={when === "now" ? _("The module is in use: this would be refused") : _("The module is in use now")}>
                        <BlockerList blockers={plan.blockers} />
                    </Notice>
                </StackItem>
            )}
            {plan.warnings.map((each) => (
                <StackItem key={each}><Notice variant="warning" title={each} /></StackItem>
            ))}
            <StackItem>
                <Title headingLevel="h2" size="md">{_("Steps")}</Title>
                {plan.steps.length === 0
                    ? <p>{_("There is nothing to do.")}</p>
                    : <List component="ol" aria-label={_("Steps")}>{plan.steps.map((step) => <ListItem key={step}>{step}</ListItem>)}</List>}
            </StackItem>
            {plan.diff && <StackItem><Title headingLevel="h2" size="md">{_("Change of the file")}</Title><Diff text={plan.diff} /></StackItem>}
        </Stack>
    );
}
