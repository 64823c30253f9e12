"""The operations API: what the commands tell and do, for programs that speak HTTP. Decides nothing."""
