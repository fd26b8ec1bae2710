// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button, Flex } from "@patternfly/react-core";
import { useRef, useState } from "react";

import { _, cockpit, format, type Spawned } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { sentence } from "../base/words";
import { useAccess } from "../service/access";

/** What a support request needs, as a download. nestctl fetches it: a bridge passes no descriptor on. */
export function Collect() {
    const { admin } = useAccess();
    const [bytes, setBytes] = useState<number | null>(null);
    const [error, setError] = useState("");
    const running = useRef<Spawned<Uint8Array> | null>(null);
    const collect = async (): Promise<void> => {
        const parts: Uint8Array[] = [];
        let size = 0;
        setError("");
        setBytes(0);
        const process = cockpit.spawn(["nestctl", "log", "collect", "--output", "-"],
                                      { binary: true, superuser: "require", err: "message" });
        running.current = process;
        try {
            await process.stream((part) => {
                parts.push(part.slice());
                size += part.length;
                setBytes(size);
            });
            download(parts);
        } catch (failure) {
            if (running.current === process)
                setError(sentence(failure));
        }
        running.current = null;
        setBytes(null);
    };
    const cancel = (): void => {
        const process = running.current;
        running.current = null;
        process?.close("cancelled");
    };
    if (!admin)
        return null;
    return (
        <Flex>
            {error && <Notice isPlain isLiveRegion variant="danger" title={error} />}
            {bytes !== null && (
                <>
                    <span role="status">{format(_("$0 collected"), cockpit.format_bytes(bytes))}</span>
                    <Button variant="link" isInline onClick={cancel}>{_("Cancel")}</Button>
                </>
            )}
            <Button variant="secondary" isLoading={bytes !== null} isDisabled={bytes !== null} onClick={() => void collect()}>
                {_("Collect for support")}
            </Button>
        </Flex>
    );
}

function download(parts: Uint8Array[]): void {
    const url = URL.createObjectURL(new Blob(parts as BlobPart[], { type: "application/gzip" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `nestd-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.tar.gz`;
    link.click();
    URL.revokeObjectURL(url);
}
