import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./", // the page works behind any prefix
  build: {
    outDir: process.env["RECON_PAGE_FOLDER"] ?? "../recon/server/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // a data: URL would need a hole in the content security policy
    reportCompressedSize: false,
    license: { fileName: "licenses.md" },
  },
  worker: { format: "es" },
  test: { testTimeout: 300_000, hookTimeout: 120_000, fileParallelism: false },
});
