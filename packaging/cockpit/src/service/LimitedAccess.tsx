// SPDX-License-Identifier: LGPL-2.1-or-later
import { _ } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { useAccess } from "./access";
import { AdminAccessButton } from "./AdminAccess";

/** Without rights everything can be read: says so, and offers Cockpit's administrative access. */
export function LimitedAccess() {
    const { admin, may } = useAccess();
    if (admin !== false || may("configure-modules"))
        return null;
    return (
        <Notice variant="info" title={_("You can look at everything here, but not change it.")}
               actionLinks={<AdminAccessButton isLink />} />
    );
}
