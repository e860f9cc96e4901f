// Serves a folder that tests/make_cases.py made: npm run mock -- FOLDER [PORT]
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { startMockServer } from "../tests/mock_server";

export async function main([folder, port]: string[]): Promise<number> {
  const files = join(folder, "files");
  const frames = existsSync(files) ? readdirSync(files).filter((name) => name.startsWith("frame-")) : [];
  const server = await startMockServer({
    page: resolve("../recon/server/page"),
    content: folder,
    port: Number(port ?? 8080),
    ...(frames.length
      ? { live: { frames: frames.map((name) => readFileSync(join(files, name))), interval: 250 } }
      : {}),
  });
  console.log(server.url);
  return new Promise(() => undefined);
}
