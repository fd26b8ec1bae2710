// SPDX-License-Identifier: LGPL-2.1-or-later
// One connection to nestd and what it has told: its objects, kept current by its signals.
import { cockpit, type DBusClient, type DBusFailure } from "../base/cockpit";
import { list, MANAGER, record, ROOT, text, unwrap } from "./reading";
import type { Objects, Properties } from "./types";

const OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES = "org.freedesktop.DBus.Properties";
const RETRY_MILLISECONDS = 1000;
/** Loading a module may take long, and the caller of "now" waits for it. */
const CALL_MILLISECONDS = 10 * 60 * 1000;

/** A job that has ended. */
export interface Ended {
    path: string;
    subject: string;
    result: string;
    error: string;
}

export interface ServiceState {
    /** "absent": nothing answers at that name; "connecting": not known yet. */
    phase: "connecting" | "ready" | "absent";
    /** Why it is absent, as the bus says it. */
    problem: string;
    manager: Properties;
    objects: Objects;
    ended: Ended | null;
    /** Counts nestd's signals: what has no property of its own is asked again when it grows. */
    signals: number;
}

const NOTHING: ServiceState = {
    phase: "connecting", problem: "", manager: {}, objects: {}, ended: null, signals: 0,
};

export class Service {
    private client: DBusClient | null = null;
    private retry = 0;
    /** Counts signals about objects. */
    private heard = 0;
    /** Counts the owners of the name: an answer of a former one may come after the news of its end. */
    private owners = 0;
    private readonly listeners = new Set<() => void>();
    state: ServiceState = NOTHING;

    readonly subscribe = (listener: () => void): (() => void) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    };

    readonly getState = (): ServiceState => this.state;

    /** Connect, and again with the caller's present rights. */
    connect(): void {
        this.close();
        const client = cockpit.dbus("org.nestd1", { bus: "system", superuser: "try" });
        this.client = client;
        client.subscribe({ path_namespace: ROOT, interface: PROPERTIES, member: "PropertiesChanged" },
                         (path, _iface, _member, args) => this.changed(path, args));
        client.subscribe({ path: ROOT, interface: OBJECT_MANAGER },
                         (_path, _iface, member, args) => this.appeared(member, args));
        client.subscribe({ path: ROOT, interface: MANAGER },
                         (_path, _iface, member, args) => this.signalled(member, args));
        client.addEventListener("owner", (_event, owner) => this.owned(client, owner));
        client.addEventListener("close", (_event, failure) => this.closed(client, failure));
        void this.load(client);
    }

    close(): void {
        window.clearTimeout(this.retry);
        const client = this.client;
        this.client = null;
        client?.close();
    }

    async call(path: string, iface: string, method: string, signature = "", ...args: unknown[]): Promise<unknown[]> {
        if (this.client === null)
            throw new Error(this.state.problem);
        return this.client.call(path, iface, method, args, { type: signature, timeout: CALL_MILLISECONDS });
    }

    private set(change: Partial<ServiceState>): void {
        this.state = { ...this.state, ...change };
        for (const listener of this.listeners)
            listener();
    }

    private async load(client: DBusClient): Promise<void> {
        const heard = this.heard;
        const owners = this.owners;
        const isLate = (): boolean => client !== this.client || owners !== this.owners;
        try {
            const [[manager], [objects]] = await Promise.all([
                client.call(ROOT, PROPERTIES, "GetAll", [MANAGER], { type: "s" }),
                client.call(ROOT, OBJECT_MANAGER, "GetManagedObjects", []),
            ]);
            if (isLate())
                return;
            const found = Object.entries(record(objects)).map(([path, each]) => [path, interfaces(each)]);
            this.set({
                phase: "ready", problem: "", manager: unwrap(manager), objects: Object.fromEntries(found),
                signals: this.state.signals + 1,
            });
            if (heard !== this.heard)
                void this.load(client); // what a signal told meanwhile may be newer than these answers
        } catch (error) {
            if (!isLate())
                this.failed(client, error as DBusFailure);
        }
    }

    private failed(client: DBusClient, failure: DBusFailure): void {
        if (client !== this.client)
            return;
        this.set({ phase: "absent", problem: failure.message ?? failure.problem ?? "", manager: {}, objects: {} });
    }

    private owned(client: DBusClient, owner: string | null): void {
        if (client !== this.client)
            return;
        this.owners += 1;
        if (owner)
            void this.load(client);
        else
            this.failed(client, {});
    }

    private closed(client: DBusClient, failure: DBusFailure): void {
        if (client !== this.client)
            return;
        this.failed(client, failure);
        this.retry = window.setTimeout(() => this.connect(), RETRY_MILLISECONDS);
    }

    private changed(path: string, [iface, values, invalidated]: unknown[]): void {
        this.heard += 1;
        const news = unwrap(values);
        if (path === ROOT) {
            this.set({ manager: { ...this.state.manager, ...news }, signals: this.state.signals + 1 });
            return;
        }
        const object = this.state.objects[path];
        if (object === undefined)
            return;
        const name = text(iface);
        const kept = { ...object[name], ...news };
        for (const gone of list(invalidated))
            delete kept[text(gone)];
        const objects = { ...this.state.objects, [path]: { ...object, [name]: kept } };
        this.set({ objects, signals: this.state.signals + 1 });
    }

    private appeared(member: string, [path, what]: unknown[]): void {
        this.heard += 1;
        const objects = { ...this.state.objects };
        const name = text(path);
        if (member === "InterfacesAdded") {
            objects[name] = { ...objects[name], ...interfaces(what) };
        } else if (member === "InterfacesRemoved") {
            const left = { ...objects[name] };
            for (const gone of list(what))
                delete left[text(gone)];
            if (Object.keys(left).length)
                objects[name] = left;
            else
                delete objects[name];
        }
        this.set({ objects, signals: this.state.signals + 1 });
    }

    private signalled(member: string, [, path, result]: unknown[]): void {
        const change: Partial<ServiceState> = { signals: this.state.signals + 1 };
        if (member === "JobRemoved") {
            const job = this.state.objects[text(path)]?.["org.nestd1.Job"] ?? {};
            change.ended = { path: text(path), subject: text(job.Subject), result: text(result), error: text(job.Error) };
        } else if (member === "JobNew") {
            change.ended = null;
        }
        this.set(change);
    }
}

function interfaces(value: unknown): Record<string, Properties> {
    return Object.fromEntries(Object.entries(record(value)).map(([name, each]) => [name, unwrap(each)]));
}
