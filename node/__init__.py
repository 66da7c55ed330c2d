"""The Hanse node: chain, store, records and the four stories (publish, access, training, audit) over them."""
