// SPDX-License-Identifier: LGPL-2.1-or-later
import { useRef } from "react";

import { isUnknownMember } from "../service/errors";
import { useAnswer, useService } from "../service/hooks";
import { list, MANAGER, readGuest, readMachine, ROOT } from "../service/reading";
import type { Guest } from "../service/types";

interface Guests {
    guests: Guest[] | undefined;
    error: string;
    /** The service tells what each has of nesting. */
    isTold: boolean;
    refresh: () => void;
}

/** ListGuests; from a service of version 1.0 ListMachines. */
export function useGuests(): Guests {
    const service = useService();
    const isOld = useRef(false);
    const { value, error, refresh } = useAnswer(async () => {
        if (!isOld.current) {
            try {
                const [guests] = await service.call(ROOT, MANAGER, "ListGuests");
                return list(guests).map(readGuest);
            } catch (failure) {
                if (!isUnknownMember(failure))
                    throw failure;
                isOld.current = true;
            }
        }
        const [machines] = await service.call(ROOT, MANAGER, "ListMachines");
        return list(machines).map(readMachine);
    });
    return { guests: value, error, isTold: value?.some(({ nesting }) => nesting !== undefined) ?? false, refresh };
}
