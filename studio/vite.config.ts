import { defineConfig } from "vite";

// The page goes into the Python package, which serves it.
export default defineConfig({
  base: "./",
  build: { outDir: "../src/swath/studio/page", emptyOutDir: true, chunkSizeWarningLimit: 2000 },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8017", ws: true } } },
});
