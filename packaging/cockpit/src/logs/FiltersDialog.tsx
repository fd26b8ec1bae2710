// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    Button, Form, FormGroup, Modal, ModalBody, ModalFooter, ModalHeader, Radio, Stack,
    StackItem, TextArea, Title,
} from "@patternfly/react-core";
import { type FormEvent, useState } from "react";

import { _, format } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { useDelayed } from "../base/useDelayed";
import { sentence } from "../base/words";
import { Diff } from "../change/Diff";
import { useAnswer, useService } from "../service/hooks";
import { list, LOG_DAEMON, text, unwrap } from "../service/reading";
import type { LogDaemon } from "../service/types";

const TYPING_MILLISECONDS = 300;

interface Checked {
    warnings: string[];
    diff: string;
}

/** The filters for good: checked as they are typed, with the change of the file. */
export function FiltersDialog({ daemon, onClose }: { daemon: LogDaemon; onClose: () => void }) {
    const service = useService();
    const [filters, setFilters] = useState(daemon.filters);
    const [when, setWhen] = useState(daemon.active && daemon.debugUntil === 0 ? "now" : "start");
    const [error, setError] = useState("");
    const [isRunning, setRunning] = useState(false);
    const settled = useDelayed(filters, TYPING_MILLISECONDS);
    const checked = useAnswer<Checked>(async () => {
        const [, warnings] = await service.call(daemon.path, LOG_DAEMON, "CheckFilters", "ss", settled, daemon.outputs);
        const [plan] = await service.call(daemon.path, LOG_DAEMON, "Plan", "sa{sv}", settled, {});
        return { warnings: list(warnings).map(text), diff: text(unwrap(plan).diff) };
    }, settled);
    const apply = async (event: FormEvent): Promise<void> => {
        event.preventDefault();
        setRunning(true);
        setError("");
        try {
            await service.call(daemon.path, LOG_DAEMON, "SetFilters", "ssa{sv}", settled, when, {});
            onClose();
        } catch (failure) {
            setError(sentence(failure));
            setRunning(false);
        }
    };
    return (
        <Modal variant="medium" isOpen onClose={onClose} aria-labelledby="nestd-filters-title">
            <ModalHeader title={format(_("Log filters of $0"), daemon.name)} labelId="nestd-filters-title" />
            <ModalBody tabIndex={0}>
                <Form id="nestd-filters-form" onSubmit={(event) => void apply(event)}>
                    <FormGroup label={_("Filters")} fieldId="nestd-filters">
                        <TextArea id="nestd-filters" className="nestd-mono" value={filters} autoResize resizeOrientation="vertical"
                                  validated={checked.error ? "error" : "default"} onChange={(_event, value) => setFilters(value)} />
                    </FormGroup>
                    <Stack hasGutter aria-live="polite">
                        {checked.error && <StackItem><Notice variant="danger" title={checked.error} /></StackItem>}
                        {checked.value?.warnings.map((each) => (
                            <StackItem key={each}><Notice variant="warning" title={each} /></StackItem>
                        ))}
                    </Stack>
                    <WhenChoice daemon={daemon} when={when} onChange={setWhen} />
                    {checked.value?.diff && (
                        <div><Title headingLevel="h2" size="md">{_("Change of the file")}</Title><Diff text={checked.value.diff} /></div>
                    )}
                    {error && <Notice isLiveRegion variant="danger" title={error} />}
                </Form>
            </ModalBody>
            <ModalFooter>
                <Button type="submit" form="nestd-filters-form" isLoading={isRunning}
                        isDisabled={isRunning || settled !== filters || !checked.isCurrent || !checked.value}>
                    {_("Apply")}
                </Button>
                <Button variant="link" onClick={onClose}>{_("Cancel")}</Button>
            </ModalFooter>
        </Modal>
    );
}

interface WhenChoiceProps {
    daemon: LogDaemon;
    when: string;
    onChange: (when: string) => void;
}

/** While a debug session runs the service takes "start" only. */
function WhenChoice({ daemon, when, onChange }: WhenChoiceProps) {
    const canNow = (daemon.active || daemon.activation === "socket") && daemon.debugUntil === 0;
    const choices: [string, string, boolean][] = [
        ["now", _("Now, and from its next start"), canNow],
        ["start", _("From its next start"), true],
        ["runtime", _("Now, until it ends"), canNow],
    ];
    return (
        <FormGroup role="radiogroup" fieldId="nestd-filters-when" isStack label={_("When")}>
            {choices.map(([value, label, isPossible]) => (
                <Radio key={value} id={`nestd-filters-${value}`} name="nestd-filters-when" label={label}
                       isChecked={when === value} isDisabled={!isPossible} onChange={() => onChange(value)} />
            ))}
        </FormGroup>
    );
}
