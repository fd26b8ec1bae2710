// SPDX-License-Identifier: LGPL-2.1-or-later
import { useEffect, useState } from "react";

/** VALUE as it was when it last stayed the same for so long. */
export function useDelayed<T>(value: T, milliseconds: number): T {
    const [settled, setSettled] = useState(value);
    useEffect(() => {
        const timer = window.setTimeout(() => setSettled(value), milliseconds);
        return () => window.clearTimeout(timer);
    }, [value, milliseconds]);
    return settled;
}
