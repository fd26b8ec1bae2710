// SPDX-License-Identifier: LGPL-2.1-or-later
// From what Cockpit's bridge hands over (JSON, variants as {t, v}) to the types of this page.
// A member that is not there, or not of its type, gives the value for "not told".
import type {
    Assignment, Blocker, Finding, Guest, HistoryEntry, Job, LogDaemon, Manager, Module, Objects,
    Obstacle, Plan, Preset, Properties, Verdict,
} from "./types";

export const MANAGER = "org.nestd1.Manager";
export const MODULE = "org.nestd1.Module";
export const JOB = "org.nestd1.Job";
export const LOG_DAEMON = "org.nestd1.LogDaemon";
export const ROOT = "/org/nestd1";

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The values of an a{sv}. */
export function unwrap(values: unknown): Properties {
    if (!isRecord(values))
        return {};
    return Object.fromEntries(Object.entries(values).map(
        ([key, each]) => [key, isRecord(each) && "v" in each && "t" in each ? each.v : each]));
}

export function record(value: unknown): Record<string, unknown> {
    return isRecord(value) ? value : {};
}

export function list(value: unknown): unknown[] {
    return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
    return typeof value === "string" ? value : "";
}

function number(value: unknown): number {
    return typeof value === "number" ? value : 0;
}

function optionalText(value: unknown): string | undefined {
    return typeof value === "string" ? value : undefined;
}

function optionalNumber(value: unknown): number | undefined {
    return typeof value === "number" ? value : undefined;
}

function texts(value: unknown): Record<string, string> {
    return Object.fromEntries(Object.entries(record(value)).map(([key, each]) => [key, text(each)]));
}

export function readBlockers(value: unknown): Blocker[] {
    return list(value).map(list).map(([kind, name, pid, detail]) => (
        { kind: text(kind), name: text(name), pid: number(pid), detail: text(detail) }));
}

export function readFindings(value: unknown): Finding[] {
    return list(value).map(list).map(([id, verdict, summary, hint]) => (
        { id: text(id), verdict: text(verdict) as Verdict, summary: text(summary), hint: text(hint) }));
}

function readAssignments(value: unknown): Assignment[] {
    return list(value).map(list).map(([parameter, assigned, file, line]) => (
        { parameter: text(parameter), value: text(assigned), file: text(file), line: number(line) }));
}

function readObstacles(value: unknown): Obstacle[] {
    return list(value).map(list).map(([kind, said, file, line]) => (
        { kind: text(kind), text: text(said), file: text(file), line: number(line) }));
}

export function readManager(properties: Properties): Manager {
    const known = properties.MachinesKnown;
    return {
        version: text(properties.Version),
        vendor: text(properties.Vendor),
        hostModule: text(properties.HostModule),
        hostVirtualization: text(properties.HostVirtualization),
        machineCount: number(properties.MachineCount),
        nested: optionalText(properties.Nested),
        nestedAtBoot: optionalText(properties.NestedAtBoot),
        nestedDecidedBy: optionalText(properties.NestedDecidedBy),
        backend: optionalText(properties.Backend),
        machinesKnown: typeof known === "boolean" ? known : undefined,
    };
}

function readModule(path: string, properties: Properties): Module {
    return {
        path,
        name: text(properties.Name),
        availability: text(properties.Availability),
        loaded: properties.Loaded === true,
        parameters: texts(properties.Parameters),
        configured: texts(properties.Configured),
        assignments: readAssignments(properties.Assignments),
        nested: text(properties.Nested),
        nestedNext: text(properties.NestedNext),
        state: text(properties.State),
        nestedAtBoot: optionalText(properties.NestedAtBoot),
        obstacles: readObstacles(properties.LoadObstacles),
        readError: text(properties.ReadError),
        pending: properties.Pending === undefined
            ? undefined
            : list(properties.Pending).map((each) => text(list(each)[0])),
    };
}

function readJob(path: string, properties: Properties): Job {
    return {
        path,
        id: number(properties.Id),
        subject: text(properties.Subject),
        state: text(properties.State),
        blockers: readBlockers(properties.Blockers),
        error: text(properties.Error),
        since: optionalNumber(properties.Since),
    };
}

function readLogDaemon(path: string, properties: Properties): LogDaemon {
    return {
        path,
        name: text(properties.Name),
        configFile: text(properties.ConfigFile),
        active: properties.Active === true,
        filters: text(properties.Filters),
        outputs: text(properties.Outputs),
        level: number(properties.Level),
        overriddenBy: text(properties.OverriddenBy),
        debugUntil: number(properties.DebugUntil),
        configError: text(properties.ConfigError),
        activation: optionalText(properties.Activation),
        warnings: list(properties.Warnings).map(text),
        debugFilters: text(properties.DebugFilters),
        debugFile: text(properties.DebugFile),
        debugBytes: optionalNumber(properties.DebugBytes),
    };
}

function each<T>(objects: Objects, iface: string, read: (path: string, properties: Properties) => T): T[] {
    const found: T[] = [];
    for (const [path, interfaces] of Object.entries(objects)) {
        const properties = interfaces[iface];
        if (properties)
            found.push(read(path, properties));
    }
    return found;
}

export const readModules = (objects: Objects): Module[] => each(objects, MODULE, readModule);
export const readJobs = (objects: Objects): Job[] => each(objects, JOB, readJob);
export const readLogDaemons = (objects: Objects): LogDaemon[] => each(objects, LOG_DAEMON, readLogDaemon);

export function readPlan(value: unknown): Plan {
    const plan = unwrap(value);
    return {
        diff: text(plan.diff),
        steps: list(plan.steps).map(text),
        blockers: readBlockers(plan.blockers),
        warnings: list(plan.warnings).map(text),
        token: text(plan.token),
    };
}

/** Of ListMachines, (pid, name, vmm, unit). */
export function readMachine(value: unknown): Guest {
    const [pid, name, vmm, unit] = list(value);
    return readGuest({ pid, name, vmm, unit });
}

/** Of ListGuests. */
export function readGuest(value: unknown): Guest {
    const guest = unwrap(value);
    return {
        pid: number(guest.pid),
        name: text(guest.name),
        vmm: text(guest.vmm),
        unit: text(guest.unit),
        exposed: optionalText(guest.exposed),
        exposedBy: text(guest.exposed_by),
        nesting: optionalText(guest.nesting),
        nestedRuns: number(guest.nested_runs),
        nestingBy: text(guest.nesting_by),
    };
}

export function readHistoryEntry(value: unknown): HistoryEntry {
    const entry = unwrap(value);
    return {
        time: number(entry.time),
        kind: text(entry.kind),
        subject: text(entry.subject),
        result: text(entry.result),
        uid: optionalNumber(entry.uid),
        asked: text(entry.asked),
        error: text(entry.error),
    };
}

export function readPreset(value: unknown): Preset {
    const [name, filters, about] = list(value);
    return { name: text(name), filters: text(filters), about: text(about) };
}
