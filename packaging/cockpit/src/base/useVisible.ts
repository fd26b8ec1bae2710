// SPDX-License-Identifier: LGPL-2.1-or-later
import { useEffect, useRef, useState } from "react";

import { cockpit } from "./cockpit";

/** Runs ASK every SECONDS while ACTIVE, this page and its browser tab are looked at. */
export function useWhileLookedAt(active: boolean, seconds: number, ask: () => void): void {
    const latest = useRef(ask);
    latest.current = ask;
    const [seen, setSeen] = useState(!cockpit.hidden);
    useEffect(() => {
        const changed = (): void => setSeen(!cockpit.hidden);
        cockpit.addEventListener("visibilitychange", changed);
        return () => cockpit.removeEventListener("visibilitychange", changed);
    }, []);
    useEffect(() => {
        if (!active || !seen)
            return;
        const timer = window.setInterval(() => latest.current(), seconds * 1000);
        return () => window.clearInterval(timer);
    }, [active, seen, seconds]);
}

/** Seconds since 1970, renewed each second while ACTIVE: for what counts down. */
export function useNow(active: boolean): number {
    const [now, setNow] = useState(Date.now() / 1000);
    useWhileLookedAt(active, 1, () => setNow(Date.now() / 1000));
    useEffect(() => setNow(Date.now() / 1000), [active]);
    return now;
}
