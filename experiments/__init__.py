"""One folder a claim: its command, its results, the script that prints it."""
