"""Edge to the records database: SQLite beside the node, or PostgreSQL by URL. Returns records, never rows.

It is not the truth: the chain is. What it alone holds are the node's own promises (outbox, operations), its private
documents and its tokens; the rest is a picture that `follow` can draw again.

    with Database.open("sqlite:////var/lib/hanse/hanse.db") as db:
        with db.writing() as tx:
            documents.put(tx, "manifest", body, at=now)
"""

from node.db.database import Database, Tx

__all__ = ["Database", "Tx"]
