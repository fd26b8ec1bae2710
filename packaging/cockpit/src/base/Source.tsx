// SPDX-License-Identifier: LGPL-2.1-or-later
import { Button, Modal, ModalBody, ModalHeader, Spinner } from "@patternfly/react-core";
import { useEffect, useState } from "react";

import { _, cockpit } from "./cockpit";
import { sentence } from "./words";

const CMDLINE = "/proc/cmdline";
const LARGEST = 1 << 20;

/** Who decides, "FILE:LINE" or nestd's words: the file as a link that opens its lines. */
export function Source({ place }: { place: string }) {
    const [isOpen, setOpen] = useState(false);
    const [, path, line] = /^(\/.*):(\d+)$/.exec(place) ?? [];
    if (place === "kernel default" || place === "")
        return <>{place ? _("The kernel's default") : _("Not known")}</>;
    const isCommandLine = path === CMDLINE || place === "kernel command line";
    const file = isCommandLine ? CMDLINE : path;
    if (file === undefined)
        return <>{place}</>;
    const name = isCommandLine ? _("Kernel command line") : place;
    return (
        <>
            <Button variant="link" isInline onClick={() => setOpen(true)}><span className="nestd-mono">{name}</span></Button>
            {isOpen && <Lines path={file} title={name} line={Number(line ?? 0)} onClose={() => setOpen(false)} />}
        </>
    );
}

interface LinesProps {
    path: string;
    title: string;
    /** From 1; 0 for none in particular. */
    line: number;
    onClose: () => void;
}

function Lines({ path, title, line, onClose }: LinesProps) {
    const [content, setContent] = useState<string | null>(null);
    const [error, setError] = useState("");
    useEffect(() => {
        const file = cockpit.file(path, { superuser: "try", max_read_size: LARGEST });
        file.read().then((read) => (read === null ? setError(_("There is no such file.")) : setContent(read)),
                         (failure: unknown) => setError(sentence(failure)));
        return () => file.close();
    }, [path]);
    return (
        <Modal variant="medium" isOpen onClose={onClose} aria-labelledby="nestd-lines-title">
            <ModalHeader title={title} labelId="nestd-lines-title" />
            <ModalBody>
                {error && <p role="alert">{error}</p>}
                {content === null && !error && <Spinner size="md" aria-label={_("Reading")} />}
                {content !== null && (
                    <pre className="nestd-text" tabIndex={0}>
                        {content.replace(/\n$/, "").split("\n").map((each, index) => (
                            index + 1 === line
                                ? <mark key={index} className="nestd-decides" ref={(mark) => mark?.scrollIntoView({ block: "center" })}>{each}{"\n"}</mark>
                                : <span key={index}>{each}{"\n"}</span>
                        ))}
                    </pre>
                )}
            </ModalBody>
        </Modal>
    );
}
