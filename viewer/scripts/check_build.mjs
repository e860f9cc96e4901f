// Fails when the committed page is not what the sources give: builds into a temporary folder and compares every byte.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const viewer = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const committed = resolve(viewer, "../recon/server/page");
const built = mkdtempSync(join(tmpdir(), "recon-page-"));

function files(folder, top = folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path, top) : [relative(top, path)];
  });
}

try {
  const environment = { ...process.env, RECON_PAGE_FOLDER: built };
  const vite = join(viewer, "node_modules/vite/bin/vite.js");
  execFileSync(process.execPath, [vite, "build", "--logLevel", "warn"], { cwd: viewer, env: environment });
  const [old, fresh] = [files(committed).sort(), files(built).sort()];
  const different = [...new Set([...old, ...fresh])].filter(
    (name) =>
      !old.includes(name) ||
      !fresh.includes(name) ||
      !readFileSync(join(committed, name)).equals(readFileSync(join(built, name))),
  );
  if (different.length > 0) {
    console.error(`recon/server/page is not what viewer/ gives: ${different.join(", ")}`);
    console.error("run `npm run build` in viewer/ and commit recon/server/page");
    process.exitCode = 1;
  } else console.log(`recon/server/page is what viewer/ gives (${fresh.length} files)`);
} finally {
  rmSync(built, { recursive: true, force: true });
}
