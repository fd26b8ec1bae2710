// SPDX-License-Identifier: LGPL-2.1-or-later
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { sentence } from "../base/words";
import { Service, type ServiceState } from "./connection";
import { isUnknownMember } from "./errors";
import { readJobs, readLogDaemons, readManager, readModules } from "./reading";
import type { Job, LogDaemon, Manager, Module } from "./types";

export const ServiceContext = createContext<Service>(new Service());

export const useService = (): Service => useContext(ServiceContext);

export function useServiceState(): ServiceState {
    const service = useService();
    return useSyncExternalStore(service.subscribe, service.getState);
}

export function useManager(): Manager {
    const { manager } = useServiceState();
    return useMemo(() => readManager(manager), [manager]);
}

/** KVM's modules; the one that holds "nested" first. */
export function useModules(): Module[] {
    const { objects } = useServiceState();
    const { hostModule } = useManager();
    return useMemo(() => {
        const rank = (module: Module): number => (module.path === hostModule ? 0 : 1);
        return readModules(objects).sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
    }, [objects, hostModule]);
}

export function useJobs(): Job[] {
    const { objects } = useServiceState();
    return useMemo(() => readJobs(objects), [objects]);
}

/** Those that run virtual machines first, then those that run. */
export function useLogDaemons(): LogDaemon[] {
    const { objects } = useServiceState();
    return useMemo(() => {
        const rank = ({ name, active }: LogDaemon): number => (/^(libvirtd|virtqemud)$/.test(name) ? 0 : active ? 1 : 2);
        return readLogDaemons(objects).sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
    }, [objects]);
}

/** What a method answers: undefined while it has not. */
export interface Answer<T> {
    value: T | undefined;
    /** The sentence of a failure. */
    error: string;
    /** The service's version does not have the method. */
    missing: boolean;
    /** It answers the present question, not one with a former key. */
    isCurrent: boolean;
    refresh: () => void;
}

type Given<T> = Pick<Answer<T>, "value" | "error" | "missing"> & { key: string };

/**
 * Asks on mounting, when KEY changes, and again after each of nestd's signals, one call at a time.
 * The last answer stays until the next one is there.
 */
export function useAnswer<T>(ask: () => Promise<T>, key = ""): Answer<T> {
    const { signals } = useServiceState();
    const [answer, setAnswer] = useState<Given<T>>({ value: undefined, error: "", missing: false, key });
    const latest = useRef(ask);
    latest.current = ask;
    const current = useRef(key);
    current.current = key;
    const running = useRef(false);
    const wanted = useRef(false);
    const mounted = useRef(true);

    const refresh = useCallback(() => {
        const run = async (): Promise<void> => {
            const asked = current.current;
            try {
                const value = await latest.current();
                if (mounted.current && asked === current.current)
                    setAnswer({ value, error: "", missing: false, key: asked });
            } catch (error) {
                if (mounted.current && asked === current.current)
                    setAnswer({ value: undefined, error: sentence(error), missing: isUnknownMember(error), key: asked });
            }
        };
        const loop = async (): Promise<void> => {
            running.current = true;
            do {
                wanted.current = false;
                await run();
            } while (wanted.current && mounted.current);
            running.current = false;
        };
        wanted.current = true;
        if (!running.current)
            void loop();
    }, []);

    useEffect(() => {
        mounted.current = true;
        return () => {
            mounted.current = false;
        };
    }, []);
    useEffect(refresh, [refresh, signals, key]);
    const { value, error, missing } = answer;
    return { value, error, missing, isCurrent: answer.key === key, refresh };
}
