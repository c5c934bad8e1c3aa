"""Speed against peers and against the machine's limit: `make bench-speed`."""
