// SPDX-License-Identifier: LGPL-2.1-or-later
// Times, sizes and answers in words.
import { _, cockpit, format, ngettext } from "./cockpit";

/** CLOCK_REALTIME in microseconds, as date and time of this browser. */
export function when(microseconds: number): string {
    return new Date(microseconds / 1000).toLocaleString(cockpit.language.replace("_", "-"), {
        dateStyle: "medium",
        timeStyle: "short",
    });
}

/** A duration of so many seconds, by its two largest units. */
export function duration(seconds: number): string {
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor(seconds / 3600) % 24;
    const minutes = Math.floor(seconds / 60) % 60;
    const rest = Math.floor(seconds % 60);
    const parts = [
        days && format(ngettext("$0 day", "$0 days", days), days),
        hours && format(ngettext("$0 hour", "$0 hours", hours), hours),
        minutes && format(ngettext("$0 minute", "$0 minutes", minutes), minutes),
        rest && format(ngettext("$0 second", "$0 seconds", rest), rest),
    ].filter((part) => part !== 0);
    return parts.slice(0, 2).join(" ") || format(ngettext("$0 second", "$0 seconds", 0), 0);
}

/** In the caller's language: "yes", "no" or anything else, which is "not known". */
export function answer(value: string): string {
    if (value === "yes")
        return _("Yes");
    return value === "no" ? _("No") : _("Not known");
}

export function onOff(value: string): string {
    if (value === "yes")
        return _("On");
    return value === "no" ? _("Off") : _("Not known");
}

/** What a person reads of an exception. */
export function sentence(error: unknown): string {
    if (typeof error === "object" && error !== null && "message" in error && error.message)
        return String(error.message);
    return String(error);
}
