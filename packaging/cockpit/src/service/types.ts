// SPDX-License-Identifier: LGPL-2.1-or-later
// nestd's objects and answers as org.nestd1(5) describes them. What version 1.1 added is optional:
// undefined where the service is of version 1.0.

export type Properties = Readonly<Record<string, unknown>>;
/** Path of an object, then name of an interface. */
export type Objects = Readonly<Record<string, Readonly<Record<string, Properties>>>>;

export interface Manager {
    version: string;
    vendor: string;
    hostModule: string;
    hostVirtualization: string;
    machineCount: number;
    nested: string | undefined;
    nestedAtBoot: string | undefined;
    nestedDecidedBy: string | undefined;
    backend: string | undefined;
    machinesKnown: boolean | undefined;
}

export interface Assignment {
    parameter: string;
    value: string;
    file: string;
    line: number;
}

export interface Obstacle {
    kind: string;
    text: string;
    file: string;
    line: number;
}

export interface Module {
    path: string;
    name: string;
    availability: string;
    loaded: boolean;
    parameters: Readonly<Record<string, string>>;
    configured: Readonly<Record<string, string>>;
    assignments: readonly Assignment[];
    nested: string;
    nestedNext: string;
    state: string;
    nestedAtBoot: string | undefined;
    obstacles: readonly Obstacle[];
    readError: string;
    pending: readonly string[] | undefined;
}

export interface Blocker {
    kind: string;
    name: string;
    pid: number;
    detail: string;
}

export interface Job {
    path: string;
    id: number;
    subject: string;
    state: string;
    blockers: readonly Blocker[];
    error: string;
    /** Microseconds of CLOCK_REALTIME. */
    since: number | undefined;
}

export interface LogDaemon {
    path: string;
    name: string;
    configFile: string;
    active: boolean;
    filters: string;
    outputs: string;
    level: number;
    overriddenBy: string;
    debugUntil: number;
    configError: string;
    activation: string | undefined;
    warnings: readonly string[];
    debugFilters: string;
    debugFile: string;
    debugBytes: number | undefined;
}

export type Verdict = "pass" | "note" | "warn" | "fail";

export interface Finding {
    id: string;
    verdict: Verdict;
    summary: string;
    hint: string;
}

/** What a change of parameters would do; When "now", "idle" or "boot". */
export interface Plan {
    diff: string;
    steps: readonly string[];
    blockers: readonly Blocker[];
    warnings: readonly string[];
    token: string;
}

export type When = "now" | "idle" | "boot";

export interface Guest {
    pid: number;
    name: string;
    vmm: string;
    unit: string;
    /** undefined: version 1.0 does not tell. */
    exposed: string | undefined;
    exposedBy: string;
    nesting: string | undefined;
    nestedRuns: number;
    nestingBy: string;
}

export interface HistoryEntry {
    time: number;
    kind: string;
    subject: string;
    result: string;
    uid: number | undefined;
    asked: string;
    error: string;
}

export interface Preset {
    name: string;
    filters: string;
    about: string;
}
