"""AWS over HTTP: moto's server, what it lacks for this project, and a journal that outlives the process."""
