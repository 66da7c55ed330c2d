"use strict";
// The contracts under Hardhat's own network: deploy, publish, grant. The full suite is tests/contracts (pytest and Anvil).
const { expect } = require("chai");
const { ethers } = require("hardhat");

const digest = (text) => ethers.id(text);
const VERSION = { commitment: digest("manifest"), envelope: digest("envelope"), policy: digest("policy"), uses: 1, budget: 0 };
const TERMS = [
  ["dataset", "bytes32"], ["version", "uint32"], ["owner", "address"], ["consumer", "address"], ["policy", "bytes32"],
  ["document", "bytes32"], ["recipient", "bytes32"], ["uses", "uint8"], ["purposes", "uint32"], ["count", "uint32"],
  ["from", "uint48"], ["until", "uint48"], ["deadline", "uint48"], ["replaces", "bytes32"], ["nonce", "bytes32"],
].map(([name, type]) => ({ name, type }));

async function found() {
  const [alice, bob] = await ethers.getSigners();
  const founders = [alice, bob].map((who) => ({ account: who.address, roles: 1, card: digest("card") }));
  const members = await ethers.deployContract("Members", [founders]);
  const datasets = await ethers.deployContract("Datasets", [members.target]);
  const grants = await ethers.deployContract("Grants", [members.target, datasets.target]);
  const trainings = await ethers.deployContract("Trainings", [members.target, datasets.target, grants.target]);
  const parts = { Members: members, Datasets: datasets, Grants: grants, Trainings: trainings };
  const names = Object.keys(parts).map((name) => ethers.encodeBytes32String(name));
  const addresses = Object.values(parts).map((part) => part.target);
  const consortium = await ethers.deployContract("Consortium", [members.target, names, addresses, 60]);
  return { alice, bob, consortium, datasets, grants };
}

describe("an alliance on Hardhat", () => {
  it("finds its contracts in the directory", async () => {
    const { consortium, grants } = await found();
    expect((await consortium.entry(ethers.encodeBytes32String("Grants")))[0]).to.equal(grants.target);
  });

  it("publishes, and refuses the same id again", async () => {
    const { alice, datasets } = await found();
    const id = await datasets.idOf(alice.address, digest("salt"));
    await expect(datasets.publish(digest("salt"), VERSION)).to.emit(datasets, "Published");
    await expect(datasets.publish(digest("salt"), VERSION)).to.be.revertedWithCustomError(datasets, "Exists").withArgs(id);
  });

  it("grants by both signatures, and revokes", async () => {
    const { alice, bob, datasets, grants } = await found();
    await datasets.publish(digest("salt"), VERSION);
    const dataset = await datasets.idOf(alice.address, digest("salt"));
    const now = (await ethers.provider.getBlock("latest")).timestamp;
    const terms = {
      dataset, version: 1, owner: alice.address, consumer: bob.address, policy: digest("policy"), document: digest("document"),
      recipient: digest("recipient"), uses: 1, purposes: 1, count: 0, from: now, until: now + 3600, deadline: now + 600,
      replaces: ethers.ZeroHash, nonce: digest("nonce"),
    };
    const { chainId } = await ethers.provider.getNetwork();
    const domain = { name: "Hanse Grants", version: "1", chainId, verifyingContract: grants.target };
    const signatures = [];
    for (const who of [alice, bob]) signatures.push(await who.signTypedData(domain, { Terms: TERMS }, terms));
    const id = ethers.TypedDataEncoder.hash(domain, { Terms: TERMS }, terms);
    await expect(grants.grant(terms, ...signatures, digest("wrap"))).to.emit(grants, "Granted");
    expect((await grants.state(id))[0]).to.equal(1n);
    await expect(grants.connect(bob).revoke(id, dataset, bob.address)).to.emit(grants, "Revoked");
    expect((await grants.state(id))[0]).to.equal(2n);
  });
});
