// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    Button, Form, FormGroup, FormSelect, FormSelectOption, Modal, ModalBody, ModalFooter, ModalHeader,
} from "@patternfly/react-core";
import { type FormEvent, useState } from "react";

import { _, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { duration, sentence } from "../base/words";
import { useService } from "../service/hooks";
import { LOG_DAEMON } from "../service/reading";
import type { LogDaemon } from "../service/types";
import { FilterChoice } from "./FilterChoice";
import { usePresets } from "./usePresets";

const SECONDS = [60, 600, 1800, 3600, 4 * 3600, 24 * 3600];

/** Starts a debug session: which filters, for how long. */
export function DebugDialog({ daemon, onClose }: { daemon: LogDaemon; onClose: () => void }) {
    const service = useService();
    const presets = usePresets();
    const [filters, setFilters] = useState("");
    const [seconds, setSeconds] = useState(600);
    const [error, setError] = useState("");
    const [isRunning, setRunning] = useState(false);
    const chosen = filters || presets?.[0]?.name || "";
    const start = async (event: FormEvent): Promise<void> => {
        event.preventDefault();
        setRunning(true);
        setError("");
        try {
            await service.call(daemon.path, LOG_DAEMON, "StartDebug", "sua{sv}", chosen, seconds, {});
            onClose();
        } catch (failure) {
            setError(sentence(failure));
            setRunning(false);
        }
    };
    return (
        <Modal variant="small" isOpen onClose={onClose} aria-labelledby="nestd-debug-title">
            <ModalHeader title={format(_("Debug logs of $0"), daemon.name)} labelId="nestd-debug-title"
                         description={_("When the time is over, what was logged before is logged again.")} />
            <ModalBody>
                <Form id="nestd-debug" onSubmit={(event) => void start(event)}>
                    {error && <Notice isLiveRegion variant="danger" title={error} />}
                    <FilterChoice presets={presets} value={chosen} onChange={setFilters} />
                    <FormGroup label={_("Length")} fieldId="nestd-debug-length">
                        <FormSelect id="nestd-debug-length" value={seconds} onChange={(_event, value) => setSeconds(Number(value))}>
                            {SECONDS.map((each) => <FormSelectOption key={each} value={each} label={duration(each)} />)}
                        </FormSelect>
                    </FormGroup>
                </Form>
            </ModalBody>
            <ModalFooter>
                <Button type="submit" form="nestd-debug" isDisabled={isRunning || !chosen} isLoading={isRunning}>{_("Start")}</Button>
                <Button variant="link" onClick={onClose}>{_("Cancel")}</Button>
            </ModalFooter>
        </Modal>
    );
}
