// SPDX-License-Identifier: LGPL-2.1-or-later
import { useAnswer, useService } from "../service/hooks";
import { list, MANAGER, readPreset, ROOT } from "../service/reading";
import type { Preset } from "../service/types";

/** The filters that have a name; null while it is not known, and where the service lists none. */
export function usePresets(): Preset[] | null {
    const service = useService();
    const { value } = useAnswer(async () => list((await service.call(ROOT, MANAGER, "ListPresets"))[0]).map(readPreset));
    return value ?? null;
}
