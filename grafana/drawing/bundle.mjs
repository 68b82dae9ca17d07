// Makes `drawing/index.html` beside `node_modules`: one page with all of its code, which loads nothing.

import { build } from "esbuild";
import { mkdir, writeFile } from "node:fs/promises";

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A dashboard</title>
<link rel="stylesheet" href="board.css">
<style>html { scrollbar-width: none }</style>
<body><div id="board"></div><script src="board.js"></script></body>
</html>
`;

await mkdir("drawing", { recursive: true });
const { metafile } = await build({
  entryPoints: ["src/page.jsx"],
  outfile: "drawing/board.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "chrome120",
  jsx: "automatic",
  loader: { ".ttf": "empty" },
  define: { "process.env.NODE_ENV": '"production"', global: "window" },
  metafile: true,
  logLevel: "warning",
});
const unlicensed = Object.keys(metafile.outputs["drawing/board.js"].inputs).filter((path) => path.includes("/get-document/"));
if (unlicensed.length > 0) throw new Error(`without a license: ${unlicensed}`);
await writeFile("drawing/index.html", PAGE);
