// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    Button, FileUpload, Form, FormGroup, Modal, ModalBody, ModalFooter, ModalHeader, Spinner, Stack, StackItem,
} from "@patternfly/react-core";
import { useEffect, useState } from "react";

import { _, cockpit, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { sentence } from "../base/words";
import { FindingList } from "../checks/FindingList";
import { useService } from "../service/hooks";
import { MANAGER, readFindings, ROOT } from "../service/reading";
import type { Finding } from "../service/types";

interface Result {
    isReady: boolean;
    findings: Finding[];
}

/** Can this guest create guests on this host? Its XML comes from libvirt, or (no domain) from a person. */
export function GuestCheckDialog({ domain, onClose }: { domain: string | null; onClose: () => void }) {
    const service = useService();
    const [xml, setXml] = useState("");
    const [file, setFile] = useState("");
    const [result, setResult] = useState<Result | null>(null);
    const [error, setError] = useState("");

    const check = async (text: string): Promise<void> => {
        setError("");
        setResult(null);
        try {
            const [isReady, findings] = await service.call(ROOT, MANAGER, "CheckGuest", "s", text);
            setResult({ isReady: isReady === true, findings: readFindings(findings) });
        } catch (failure) {
            setError(sentence(failure));
        }
    };
    useEffect(() => {
        if (domain !== null)
            dumpXml(domain).then((text) => void check(text), (failure: unknown) => setError(sentence(failure)));
    }, [domain]);

    return (
        <Modal variant="medium" isOpen onClose={onClose} aria-labelledby="nestd-guest-title">
            <ModalHeader title={domain === null ? _("Check a guest's XML") : format(_("Check of $0"), domain)} labelId="nestd-guest-title" />
            <ModalBody tabIndex={0}>
                <Stack hasGutter>
                    {domain === null && <StackItem><XmlForm xml={xml} file={file} onXml={setXml} onFile={setFile} /></StackItem>}
                    {domain !== null && !result && !error && <StackItem><Spinner size="md" aria-label={_("Checking")} /></StackItem>}
                    {error && <StackItem><Notice isLiveRegion variant="danger" title={error} /></StackItem>}
                    {result && (
                        <>
                            <StackItem>
                                <Notice isLiveRegion variant={result.isReady ? "success" : "danger"}
                                       title={result.isReady
                                           ? _("This guest can run virtual machines of its own.")
                                           : _("This guest cannot run virtual machines of its own.")} />
                            </StackItem>
                            <StackItem><FindingList findings={result.findings} label={_("Findings")} /></StackItem>
                        </>
                    )}
                </Stack>
            </ModalBody>
            <ModalFooter>
                {domain === null && <Button isDisabled={!xml.trim()} onClick={() => void check(xml)}>{_("Check")}</Button>}
                <Button variant="link" onClick={onClose}>{_("Close")}</Button>
            </ModalFooter>
        </Modal>
    );
}

interface XmlFormProps {
    xml: string;
    file: string;
    onXml: (xml: string) => void;
    onFile: (name: string) => void;
}

function XmlForm({ xml, file, onXml, onFile }: XmlFormProps) {
    const clear = (): void => {
        onFile("");
        onXml("");
    };
    return (
        <Form>
            <FormGroup label={_("Domain XML of libvirt")} fieldId="nestd-xml">
                <FileUpload id="nestd-xml" type="text" value={xml} filename={file} browseButtonText={_("Choose a file")}
                            clearButtonText={_("Clear")} filenamePlaceholder={_("No file chosen")}
                            filenameAriaLabel={_("Chosen file")} aria-label={_("Domain XML of libvirt")}
                            onFileInputChange={(_event, chosen) => onFile(chosen.name)}
                            onDataChange={(_event, data) => onXml(data)} onTextChange={(_event, text) => onXml(text)}
                            onClearClick={clear} allowEditingUploadedText />
            </FormGroup>
        </Form>
    );
}

function dumpXml(domain: string): Promise<string> {
    const command = ["virsh", "--connect", "qemu:///system", "--readonly", "dumpxml", "--domain", domain];
    return cockpit.spawn(command, { superuser: "try", err: "message", environ: ["LC_ALL=C.UTF-8"] });
}
