// SPDX-License-Identifier: LGPL-2.1-or-later
import type { Module } from "../service/types";

export interface ParameterRow {
    parameter: string;
    /** undefined: the module is not loaded, or shows no such parameter. */
    running: string | undefined;
    /** undefined: nothing sets it, the kernel's default serves. */
    next: string | undefined;
    /** Who decides, as Source takes it. */
    place: string;
    isPending: boolean;
}

/** The parameters that the module has or that somebody sets, by name. */
export function rowsOf(module: Module): ParameterRow[] {
    const last = new Map(module.assignments.map((each) => [each.parameter, each]));
    const names = new Set([...Object.keys(module.parameters), ...last.keys()]);
    return [...names].sort().map((parameter) => {
        const assignment = last.get(parameter);
        return {
            parameter,
            running: module.parameters[parameter],
            next: assignment?.value,
            place: assignment ? `${assignment.file}:${assignment.line}` : "kernel default",
            isPending: module.pending?.includes(parameter) ?? false,
        };
    });
}
