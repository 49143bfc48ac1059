"""A hub and probe budgets come in; how search accuracy falls with fewer probes goes out."""
