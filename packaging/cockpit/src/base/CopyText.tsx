// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button } from "@patternfly/react-core";
import CheckIcon from "@patternfly/react-icons/dist/esm/icons/check-icon";
import CopyIcon from "@patternfly/react-icons/dist/esm/icons/copy-icon";
import { useState } from "react";

import { _ } from "./cockpit";

/** Text of several lines with a button that copies it. */
export function CopyText({ text }: { text: string }) {
    return (
        <div className="nestd-copy">
            <pre className="nestd-text" tabIndex={0}>{text}</pre>
            <CopyButton text={text} />
        </div>
    );
}

export function CopyButton({ text, isInline = false }: { text: string; isInline?: boolean }) {
    const [done, setDone] = useState(false);
    const copy = async (): Promise<void> => {
        await writeClipboard(text);
        setDone(true);
    };
    const name = done ? _("Copied") : _("Copy");
    return (
        <Button variant="plain" hasNoPadding={isInline} aria-label={name} title={name} icon={done ? <CheckIcon /> : <CopyIcon />}
                onClick={() => void copy()} onBlur={() => setDone(false)} />
    );
}

/** Also where the page does not come over TLS, and there is no navigator.clipboard. */
async function writeClipboard(text: string): Promise<void> {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
    }
}
