"""Federated computation on one primitive, the verifiable secure sum. Knows no chain, no IPFS, no HTTP, no clock.

errors       two words for what can go wrong
records      frozen records to canonical JSON and back
vectors      fixed point, lanes, the rings Z_2^32 and Z_2^64
tables       a member's records as bounded numbers
portable     arithmetic that gives the same bits on every processor
securesum/   keys, shares, masks, a member's steps, the aggregate
algorithms/  one algorithm a file, its formula on top
privacy      noise drawn by members, and what it costs in epsilon
adapters/    models of other libraries, trained in rounds
simulate     all members of a training in memory
estimators/  the same, with the face of scikit-learn
leaks        what is suspicious about a member's columns
planner      how many bits after the point a plan can afford
"""
