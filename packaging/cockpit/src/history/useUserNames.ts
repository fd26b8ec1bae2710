// SPDX-License-Identifier: LGPL-2.1-or-later
import { useEffect, useState } from "react";

import { cockpit } from "../base/cockpit";

/** Names of this host's users by their number, as /etc/passwd has them. */
export function useUserNames(): ReadonlyMap<number, string> {
    const [names, setNames] = useState<ReadonlyMap<number, string>>(new Map());
    useEffect(() => {
        const file = cockpit.file("/etc/passwd");
        const use = (content: string | null): void => {
            const users = (content ?? "").trimEnd().split("\n").map((line) => line.split(":"));
            setNames(new Map(users.map(([name = "", , uid = ""]) => [Number(uid), name])));
        };
        file.read().then(use, () => undefined);
        return () => file.close();
    }, []);
    return names;
}
