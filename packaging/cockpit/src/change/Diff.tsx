// SPDX-License-Identifier: LGPL-2.1-or-later
import { _ } from "../base/cockpit";

/** A unified diff; each line also begins with its sign, so colour is not needed to read it. */
export function Diff({ text }: { text: string }) {
    return (
        <pre className="nestd-text" tabIndex={0} aria-label={_("Change of the file")} role="region">
            {text.replace(/\n$/, "").split("\n").map((line, index) => (
                <span key={index} className={lineClass(line)}>{line || " "}</span>
            ))}
        </pre>
    );
}

function lineClass(line: string): string | undefined {
    if (/^(\+\+\+|---) /.test(line))
        return "nestd-subtle";
    if (line.startsWith("+"))
        return "nestd-added";
    return line.startsWith("-") ? "nestd-removed" : undefined;
}
