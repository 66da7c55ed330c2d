// Compiles with the `solc` package that package-lock.json pins, so that a build needs no compiler download; any other version
// falls through to Hardhat's own downloader. Hardhat 2 wants CommonJS.
require("@nomicfoundation/hardhat-ethers");
require("@nomicfoundation/hardhat-chai-matchers");
const path = require("node:path");
const { subtask } = require("hardhat/config");
const { TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD } = require("hardhat/builtin-tasks/task-names");

subtask(TASK_COMPILE_SOLIDITY_GET_SOLC_BUILD, async ({ solcVersion }, hre, runSuper) => {
  const pinned = require.resolve("solc/package.json");
  if (solcVersion !== require(pinned).version) return runSuper({ solcVersion });
  return {
    version: solcVersion,
    longVersion: require("solc").version().replace(".Emscripten.clang", ""),
    compilerPath: path.join(path.dirname(pinned), "soljson.js"),
    isSolcJs: true,
  };
});

module.exports = {
  solidity: {
    version: "0.8.30",
    settings: { optimizer: { enabled: true, runs: 200 }, evmVersion: "shanghai", metadata: { bytecodeHash: "none" } },
  },
  networks: { hardhat: { chainId: 31337 } },
  paths: { sources: "contracts", tests: "tests/hardhat", cache: ".cache/hardhat", artifacts: ".cache/artifacts" },
};
