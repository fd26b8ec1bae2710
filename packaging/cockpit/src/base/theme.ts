// SPDX-License-Identifier: LGPL-2.1-or-later
// Light or dark, as chosen in Cockpit's menu ("shell:style") or, with "auto", by the browser.

const CLASSES = ["pf-v6-theme-dark", "pf-theme-dark"];

export function followTheme(): void {
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const apply = (): void => {
        const style = localStorage.getItem("shell:style") ?? "auto";
        const isDark = style === "dark" || (style !== "light" && dark.matches);
        for (const name of CLASSES)
            document.documentElement.classList.toggle(name, isDark);
    };
    dark.addEventListener("change", apply);
    window.addEventListener("storage", (event) => {
        if (event.key === "shell:style")
            apply();
    });
    window.addEventListener("cockpit-style", apply); // in the frame where the choice was made
    apply();
}
