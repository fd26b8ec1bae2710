// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button, Label, Popover } from "@patternfly/react-core";

import { _ } from "../base/cockpit";

/** An answer of ListGuests, with where it was read, or why it is not known, on a click. */
export function NestingCell({ value, why }: { value: string | undefined; why: string }) {
    if (value === undefined)
        return <span className="nestd-subtle">{_("Not told by this version of nestd")}</span>;
    const label = <Label variant="outline" color={colour(value)}>{words(value)}</Label>;
    if (!why)
        return label;
    return (
        <Popover bodyContent={why} aria-label={words(value)} showClose={false}>
            <Button variant="plain" hasNoPadding>{label}</Button>
        </Popover>
    );
}

function words(value: string): string {
    const known: Record<string, string> = {
        yes: _("Yes"),
        no: _("No"),
        used: _("Has run machines"),
        "not-used": _("Has run none"),
        unknown: _("Not known"),
    };
    return known[value] ?? value;
}

function colour(value: string): "blue" | "grey" | "orange" {
    if (value === "yes" || value === "used")
        return "blue";
    return value === "unknown" ? "orange" : "grey";
}
