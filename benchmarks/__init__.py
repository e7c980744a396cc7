"""What the figures in the README and docs come from. Each script runs alone, with its peers beside it in one run."""
