"""Federated computation on one primitive, the verifiable secure sum. Knows no chain, no IPFS, no HTTP, no clock."""
