// Runs a TypeScript file in Node through Vite's module runner: node scripts/run.mjs scripts/bench.ts [arguments]
import { resolve } from "node:path";
import { runnerImport } from "vite";

const [file, ...rest] = process.argv.slice(2);
process.argv = [process.argv[0], resolve(file), ...rest];
const { module } = await runnerImport(resolve(file), { logLevel: "error" });
process.exitCode = (await module.main(rest)) ?? 0;
