"""`cloak serve`: photos in over HTTP, clean photos out; the original is held in memory and nowhere else."""
