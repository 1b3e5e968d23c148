"""What a build's cache saves, and what a pod pays before its build begins: real builds, as in `make build`."""
