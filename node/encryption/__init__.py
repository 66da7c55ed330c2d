"""Sealing: dataset files (floe), file keys for one recipient (wrap), salted commitments of versions (commitment)."""
