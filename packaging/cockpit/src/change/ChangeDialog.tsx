// SPDX-License-Identifier: LGPL-2.1-or-later
// The one dialog for every change of a module: its plan, when it is to happen, and how it went.
import {
    Button, Form, FormGroup, Modal, ModalBody, ModalFooter, ModalHeader, Radio, Stack, StackItem,
} from "@patternfly/react-core";
import { type ReactNode, useEffect, useState } from "react";

import { _, cockpit } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { sentence } from "../base/words";
import { jobTitle } from "../nested/JobStatus";
import { isStalePlan } from "../service/errors";
import { useAnswer, useJobs, useService } from "../service/hooks";
import { MODULE, readPlan } from "../service/reading";
import type { Module, Plan, When } from "../service/types";
import { PlanView } from "./PlanView";

/** What is to be changed: nested as a whole, or parameters by name ("" removes the assignment). */
export type Change =
    | { kind: "nested"; enabled: boolean }
    | { kind: "parameters"; values: Readonly<Record<string, string>> };

interface ChangeDialogProps {
    title: string;
    module: Module;
    change: Change;
    onClose: () => void;
    /** CHANGE is what the fields say: what is typed right now is not yet in it. */
    isSettled?: boolean;
    /** The fields that make up the change, where a person still edits it. */
    children?: ReactNode;
}

export function ChangeDialog({ title, module, change, onClose, isSettled = true, children }: ChangeDialogProps) {
    const service = useService();
    const [chosen, setChosen] = useState<When | null>(null);
    const when = chosen ?? "now";
    const values = change.kind === "nested" ? { nested: change.enabled ? "1" : "0" } : change.values;
    const plan = useAnswer(
        async () => readPlan((await service.call(module.path, MODULE, "Plan", "a{ss}s", values, when))[0]),
        JSON.stringify([values, when]));
    const [isRunning, setRunning] = useState(false);
    const [error, setError] = useState("");

    // "Now" where nothing blocks, else when no machine runs any more: once the first plan is there.
    const first = plan.isCurrent ? plan.value : undefined;
    useEffect(() => {
        if (chosen === null && first)
            setChosen(first.blockers.length ? "idle" : "now");
    }, [chosen, first]);

    const apply = async (token: string): Promise<void> => {
        setRunning(true);
        setError("");
        const options = { token: cockpit.variant("s", token) };
        try {
            if (change.kind === "nested")
                await service.call(module.path, MODULE, "SetNested", "bsa{sv}", change.enabled, when, options);
            else
                await service.call(module.path, MODULE, "SetParameters", "a{ss}sa{sv}", change.values, when, options);
            onClose();
        } catch (failure) {
            setError(isStalePlan(failure)
                ? _("Something has changed since this plan was made. Look at the new plan, then apply it.")
                : sentence(failure));
            plan.refresh();
            setRunning(false);
        }
    };
    const ready: Plan | undefined = chosen === null ? undefined : plan.value;
    return (
        <Modal variant="medium" isOpen onClose={onClose} aria-labelledby="nestd-change-title" aria-describedby="nestd-change-body">
            <ModalHeader title={title} labelId="nestd-change-title" />
            <ModalBody id="nestd-change-body" tabIndex={0}>
                <Stack hasGutter>
                    {children && <StackItem>{children}</StackItem>}
                    <StackItem><WhenChoice when={chosen} isDisabled={isRunning} onChange={setChosen} /></StackItem>
                    {plan.error && <StackItem><Notice variant="danger" title={plan.error} /></StackItem>}
                    {ready && <StackItem><PlanView plan={ready} when={when} /></StackItem>}
                    {isRunning && <StackItem><Progress module={module} /></StackItem>}
                    {error && <StackItem><Notice isLiveRegion variant="danger" title={error} /></StackItem>}
                </Stack>
            </ModalBody>
            <ModalFooter>
                <Button isDisabled={isRunning || !ready || !plan.isCurrent || !isSettled} isLoading={isRunning} onClick={() => void apply(ready?.token ?? "")}>
                    {_("Apply")}
                </Button>
                <Button variant="link" onClick={onClose}>{isRunning ? _("Close") : _("Cancel")}</Button>
            </ModalFooter>
        </Modal>
    );
}

interface WhenChoiceProps {
    when: When | null;
    isDisabled: boolean;
    onChange: (when: When) => void;
}

function WhenChoice({ when, isDisabled, onChange }: WhenChoiceProps) {
    const choices: [When, string, string][] = [
        ["now", _("Now"), _("Refused while anything uses the module; nothing is written then.")],
        ["idle", _("When no machine runs any more"), _("The configuration is written now, the module is reloaded as soon as nothing uses it.")],
        ["boot", _("At the next boot"), _("Only the configuration is written.")],
    ];
    return (
        <Form>
            <FormGroup role="radiogroup" fieldId="nestd-when" isStack label={_("When")}>
                {choices.map(([value, label, description]) => (
                    <Radio key={value} id={`nestd-when-${value}`} name="nestd-when" label={label} description={description}
                           isChecked={when === value} isDisabled={isDisabled} onChange={() => onChange(value)} />
                ))}
            </FormGroup>
        </Form>
    );
}

/** What happens while "now" is carried out. */
function Progress({ module }: { module: Module }) {
    const job = useJobs().find((each) => each.subject === module.path);
    return <p role="status">{job ? jobTitle(job.state) : _("Applying ...")}</p>;
}
