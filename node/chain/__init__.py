"""The chain edge: everything the node says to, and hears from, one EVM JSON-RPC endpoint.

Not the rules (ledger), not the outbox (a story over the database): it returns model records and the node's errors.

    chain = Chain.connect("http://127.0.0.1:8545")
    directory = chain.directory(consortium)
    events = chain.events(directory, directory.born, chain.final(None))
"""
