// SPDX-License-Identifier: LGPL-2.1-or-later
import { Form, FormGroup, FormHelperText, HelperText, HelperTextItem, TextInput } from "@patternfly/react-core";
import { useState } from "react";

import { _, format } from "../base/cockpit";
import { useDelayed } from "../base/useDelayed";
import { ChangeDialog } from "../change/ChangeDialog";
import type { Module } from "../service/types";

const TYPING_MILLISECONDS = 300;

interface ParameterDialogProps {
    module: Module;
    parameter: string;
    onClose: () => void;
}

/** Another value for one parameter; its plan follows what is typed. */
export function ParameterDialog({ module, parameter, onClose }: ParameterDialogProps) {
    const [value, setValue] = useState(module.configured[parameter] ?? module.parameters[parameter] ?? "");
    const planned = useDelayed(value, TYPING_MILLISECONDS);
    return (
        <ChangeDialog title={format(_("Change $0 of $1"), parameter, module.name)} module={module} onClose={onClose}
                      change={{ kind: "parameters", values: { [parameter]: planned } }} isSettled={planned === value}>
            <Form onSubmit={(event) => event.preventDefault()}>
                <FormGroup label={_("Value")} fieldId="nestd-value">
                    <TextInput id="nestd-value" value={value} onChange={(_event, text) => setValue(text)}
                               aria-describedby="nestd-value-help" />
                    <FormHelperText>
                        <HelperText>
                            <HelperTextItem id="nestd-value-help">
                                {format(_("Runs with $0. With no value, /etc/modprobe.d/kvm.conf no longer sets it."),
                                        module.parameters[parameter] ?? "–")}
                            </HelperTextItem>
                        </HelperText>
                    </FormHelperText>
                </FormGroup>
            </Form>
        </ChangeDialog>
    );
}
