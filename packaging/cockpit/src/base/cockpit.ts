// SPDX-License-Identifier: LGPL-2.1-or-later
// The part of Cockpit's own library (../base1/cockpit.js) that this page uses, with its types.

export interface Variant {
    t: string;
    v: unknown;
}

export interface DBusFailure {
    name?: string;
    problem?: string | null;
    message?: string;
}

export interface DBusMatch {
    path?: string;
    path_namespace?: string;
    interface?: string;
    member?: string;
}

export type SignalHandler = (path: string, iface: string, member: string, args: unknown[]) => void;

export interface DBusClient {
    call(path: string, iface: string, method: string, args?: unknown[] | null,
         options?: { type?: string; timeout?: number; flags?: string }): Promise<unknown[]>;
    subscribe(match: DBusMatch, handler: SignalHandler): { remove(): void };
    addEventListener(event: "close", handler: (event: Event, options: DBusFailure) => void): void;
    addEventListener(event: "owner", handler: (event: Event, owner: string | null) => void): void;
    close(problem?: string): void;
}

/** A program that runs: resolves with what it wrote. */
export interface Spawned<T> extends Promise<T> {
    stream(handler: (data: T) => void): Spawned<T>;
    close(problem?: string): void;
}

export interface SpawnOptions {
    superuser?: "require" | "try";
    err?: "message" | "out" | "ignore";
    environ?: string[];
}

export interface Permission {
    allowed: boolean | null;
    addEventListener(event: "changed", handler: () => void): void;
    close(): void;
}

export interface File {
    read(): Promise<string | null>;
    close(): void;
}

interface Cockpit {
    gettext(text: string): string;
    ngettext(one: string, many: string, count: number): string;
    format(template: string, ...values: (string | number)[]): string;
    format_bytes(bytes: number): string;
    language: string;
    hidden: boolean;
    addEventListener(event: "visibilitychange", handler: () => void): void;
    removeEventListener(event: "visibilitychange", handler: () => void): void;
    dbus(name: string | null, options: { bus: "system" | "internal"; superuser?: "try" | "require" }): DBusClient;
    variant(type: string, value: unknown): Variant;
    spawn(command: string[], options: SpawnOptions & { binary: true }): Spawned<Uint8Array>;
    spawn(command: string[], options?: SpawnOptions): Spawned<string>;
    file(path: string, options?: { superuser?: "try"; max_read_size?: number }): File;
    permission(options: { admin: true }): Permission;
}

declare global {
    interface Window {
        cockpit: Cockpit;
    }
}

export const cockpit = window.cockpit;
export const _ = cockpit.gettext;
export const ngettext = cockpit.ngettext;
export const format = cockpit.format;
