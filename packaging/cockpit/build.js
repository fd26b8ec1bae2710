// SPDX-License-Identifier: LGPL-2.1-or-later
// Writes the page into the given directory: code, styles and fonts bundled by esbuild,
// translations in the format of Cockpit's own pages, and the licences of the bundled packages.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { build } from "esbuild";
import { po } from "gettext-parser";

const output = process.argv[2];
if (!output) {
    console.error("usage: node build.js DIR");
    process.exit(2);
}
await rm(output, { recursive: true, force: true });
await mkdir(output, { recursive: true });
const { metafile } = await build({
    entryPoints: { index: "src/index.tsx" },
    outdir: output,
    bundle: true,
    minify: true,
    metafile: true,
    sourcemap: false,
    legalComments: "none", // LICENSES.txt has them
    target: ["es2020"],
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".woff2": "file", ".svg": "empty" },
    assetNames: "fonts/[name]",
    plugins: [fontsOfThePage()],
});
await copyFile("src/index.html", path.join(output, "index.html"));
await copyFile("manifest.json", path.join(output, "manifest.json"));
await writeFile(path.join(output, "LICENSES.txt"), await licences(metafile));
for (const name of await readdir("po"))
    if (name.endsWith(".po"))
        await writeTranslation(name.slice(0, -".po".length));

/** PatternFly's fonts that the page uses: the italics, its icon font and pictures are not. */
function fontsOfThePage() {
    const used = /RedHat(Text|Display|Mono)VF\.woff2$/;
    return {
        name: "fonts",
        setup({ onResolve }) {
            onResolve({ filter: /\.(woff2|svg)$/ }, (file) =>
                used.test(file.path) ? null : { path: file.path, external: true });
        },
    };
}

/** po.LANGUAGE.js for the page, po.manifest.LANGUAGE.js for the entry in Cockpit's menu. */
async function writeTranslation(language) {
    const parsed = po.parse(await readFile(`po/${language}.po`));
    const plural = /plural=([^;]+);?/.exec(parsed.headers["Plural-Forms"])[1].trim();
    const header = `"":{"plural-forms":(n)=>${plural},"language":"${language}","language-direction":"ltr"}`;
    const page = [], menu = [];
    for (const { msgid, msgstr, comments } of Object.values(parsed.translations[""])) {
        if (!msgid || !msgstr[0] || comments?.flag?.includes("fuzzy"))
            continue;
        const line = `${JSON.stringify(msgid)}:${JSON.stringify([null, ...msgstr])}`;
        page.push(line);
        if (comments?.reference?.includes("manifest.json"))
            menu.push(line);
    }
    for (const [name, lines] of [["po", page], ["po.manifest", menu]]) {
        const text = `cockpit.locale({${[header, ...lines].join(",\n")}});\n`;
        await writeFile(path.join(output, `${name}.${language}.js`), text);
    }
}

/** Name, version, licence and its text of each package that is in the bundle. */
async function licences({ inputs }) {
    const names = new Set();
    for (const input of Object.keys(inputs)) {
        const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
        if (found)
            names.add(found[1]);
    }
    const parts = ["What this page contains besides its own code (LGPL-2.1-or-later):\n"];
    for (const name of [...names].sort()) {
        const { version, license } = JSON.parse(await readFile(`node_modules/${name}/package.json`, "utf8"));
        const file = (await readdir(`node_modules/${name}`)).find((each) => /^licen[cs]e/i.test(each));
        const text = file ? await readFile(`node_modules/${name}/${file}`, "utf8") : "";
        parts.push(`${name} ${version}: ${license}\n\n${text.trim()}\n`);
    }
    const font = await readFile("OFL-1.1.txt", "utf8");
    parts.push(`Fonts Red Hat Text, Red Hat Display and Red Hat Mono: OFL-1.1\n\nCopyright 2024 The Red Hat Project Authors (https://github.com/RedHatOfficial/RedHatFont)\n\n${font}`);
    return parts.join(`\n${"-".repeat(78)}\n\n`);
}
