// SPDX-License-Identifier: LGPL-2.1-or-later
import { Card, CardBody, CardHeader, CardTitle } from "@patternfly/react-core";
import { type ReactNode, useId } from "react";

interface SectionProps {
    title: string;
    actions?: ReactNode;
    children: ReactNode;
}

/** One card of the page: a region that has its title as its name. */
export function Section({ title, actions, children }: SectionProps) {
    const id = useId();
    return (
        <Card component="section" aria-labelledby={id} isPlain={false}>
            <CardHeader {...(actions ? { actions: { actions, hasNoOffset: true } } : {})}>
                <CardTitle component="h2" id={id}>{title}</CardTitle>
            </CardHeader>
            <CardBody>{children}</CardBody>
        </Card>
    );
}
