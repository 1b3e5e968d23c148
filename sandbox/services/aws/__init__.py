"""AWS over HTTP: moto's server, the operations that it lacks, and a journal of changes."""
