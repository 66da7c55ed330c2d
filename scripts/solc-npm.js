#!/usr/bin/env node
"use strict";
// Presents npm's WebAssembly `solc` as a native compiler's two entry points, `--version` and `--standard-json`, which are all
// that py-solc-x, forge and crytic-compile call. (npm's own `solcjs` prints a remark before its JSON.)
const fs = require("node:fs");
const path = require("node:path");

const root = path.join(path.dirname(fs.realpathSync(__filename)), "..");
const solc = require(path.join(root, "node_modules", "solc"));
const args = process.argv.slice(2);

if (args.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
  process.exit(0);
}
if (!args.includes("--standard-json")) {
  process.stderr.write("solc-npm: only --version and --standard-json are supported\n");
  process.exit(1);
}

const readImport = (name) => {
  const file = path.resolve(root, name);
  return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: `not found: ${name}` };
};
process.stdout.write(`${solc.compile(fs.readFileSync(0, "utf8"), { import: readImport })}\n`);
