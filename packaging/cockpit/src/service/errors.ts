// SPDX-License-Identifier: LGPL-2.1-or-later

function nameOf(error: unknown): string {
    return typeof error === "object" && error !== null && "name" in error ? String(error.name) : "";
}

/** The service is of an older version and does not have what was asked for. */
export function isUnknownMember(error: unknown): boolean {
    return /^org\.freedesktop\.DBus\.Error\.Unknown(Method|Property|Interface)$/.test(nameOf(error));
}

/** Something has changed since the plan was made. */
export function isStalePlan(error: unknown): boolean {
    return nameOf(error) === "org.nestd1.Error.StalePlan";
}
