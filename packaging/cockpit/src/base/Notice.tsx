// SPDX-License-Identifier: LGPL-2.1-or-later
import { Alert, type AlertProps } from "@patternfly/react-core";

import { _ } from "./cockpit";

/** An alert in the page whose kind, which a screen reader says first, is in the reader's language. */
export function Notice(props: AlertProps) {
    const kinds = { success: _("Success"), info: _("Note"), warning: _("Warning"), danger: _("Error"), custom: _("Note") };
    return <Alert isInline component="p" variantLabel={kinds[props.variant ?? "custom"]} {...props} />;
}
