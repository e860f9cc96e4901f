// Fails when the scripts that the page loads at its start weigh more than 350 kB, compressed.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT = 350_000;
const here = dirname(fileURLToPath(import.meta.url));
const page = resolve(here, "..", process.env.RECON_PAGE_FOLDER ?? "../recon/server/page");
const html = readFileSync(join(page, "index.html"), "utf8");
const size = (file) => gzipSync(readFileSync(join(page, file)), { level: 9 }).length;
const scripts = readdirSync(join(page, "assets")).filter((file) => file.endsWith(".js"));
// What index.html names, and the workers, which start with the page; the rest is loaded when it is needed.
const first = scripts.filter((file) => html.includes(file) || /worker/.test(file));
let total = 0;
for (const file of scripts) {
  const bytes = size(join("assets", file));
  const initial = first.includes(file);
  if (initial) total += bytes;
  console.log(`${String(bytes).padStart(8)} B gzip  ${initial ? "initial" : "later  "}  ${file}`);
}
console.log(`initial scripts: ${(total / 1000).toFixed(1)} kB gzip of ${LIMIT / 1000} kB allowed`);
if (total === 0 || total > LIMIT) {
  console.error(
    total === 0 ? "index.html names no script" : "too much: load something later, or leave it out",
  );
  process.exit(1);
}
