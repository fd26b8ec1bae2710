// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    FormGroup, FormHelperText, FormSelect, FormSelectOption, HelperText, HelperTextItem, TextInput,
} from "@patternfly/react-core";

import { _ } from "../base/cockpit";
import type { Preset } from "../service/types";

interface FilterChoiceProps {
    /** null: the service does not list them, so the filters are typed. */
    presets: Preset[] | null;
    value: string;
    onChange: (value: string) => void;
}

/** Filters by the name that they have. */
export function FilterChoice({ presets, value, onChange }: FilterChoiceProps) {
    if (!presets?.length)
        return (
            <FormGroup label={_("Filters")} fieldId="nestd-filters">
                <TextInput id="nestd-filters" className="nestd-mono" value={value} onChange={(_event, text) => onChange(text)} />
                <Help text={_("Filters, for example 1:qemu 3:remote, or the name of a preset, for example qemu")} />
            </FormGroup>
        );
    const preset = presets.find(({ name }) => name === value);
    return (
        <FormGroup label={_("Filters")} fieldId="nestd-filters">
            <FormSelect id="nestd-filters" value={value} onChange={(_event, name) => onChange(name)}>
                {presets.map(({ name }) => <FormSelectOption key={name} value={name} label={name} />)}
            </FormSelect>
            {preset && <Help text={preset.about} filters={preset.filters} />}
        </FormGroup>
    );
}

function Help({ text, filters = "" }: { text: string; filters?: string }) {
    return (
        <FormHelperText>
            <HelperText>
                <HelperTextItem>{text}</HelperTextItem>
                {filters && <HelperTextItem className="nestd-mono">{filters}</HelperTextItem>}
            </HelperText>
        </FormHelperText>
    );
}
