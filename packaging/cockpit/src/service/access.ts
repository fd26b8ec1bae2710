// SPDX-License-Identifier: LGPL-2.1-or-later
// What the caller may do: nestd's own answer, and Cockpit's administrative access.
import { createContext, useContext, useEffect, useState } from "react";

import { cockpit } from "../base/cockpit";
import { useAnswer, useService } from "./hooks";
import { isUnknownMember } from "./errors";
import { MANAGER, record, ROOT, text } from "./reading";

export type Action = "configure-modules" | "reload-modules" | "configure-logs" | "debug-logs" | "collect-logs" | "manage";
const ACTIONS: Action[] = ["configure-modules", "reload-modules", "configure-logs", "debug-logs", "collect-logs", "manage"];

export interface Access {
    /** Cockpit runs with administrative access; null: not known yet. */
    admin: boolean | null;
    may: (action: Action) => boolean;
}

export const AccessContext = createContext<Access>({ admin: null, may: () => false });

export const useAccess = (): Access => useContext(AccessContext);

/** Whether Cockpit's session has administrative access; follows its change. */
export function useAdmin(): boolean | null {
    const [admin, setAdmin] = useState<boolean | null>(null);
    useEffect(() => {
        const permission = cockpit.permission({ admin: true });
        const changed = (): void => setAdmin(permission.allowed);
        permission.addEventListener("changed", changed);
        changed();
        return () => permission.close();
    }, []);
    return admin;
}

/** nestd's CheckAccess; where it has none (version 1.0), administrative access decides. */
export function useCheckedAccess(admin: boolean | null): Access {
    const service = useService();
    const { value } = useAnswer(async () => {
        try {
            const [access] = await service.call(ROOT, MANAGER, "CheckAccess", "as", ACTIONS);
            return record(access);
        } catch (error) {
            if (isUnknownMember(error))
                return null;
            throw error;
        }
    }, String(admin));
    return {
        admin,
        may: (action) => (value ? text(value[action]) === "yes" : value === null && admin === true),
    };
}
