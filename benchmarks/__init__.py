"""What Buildyard costs, measured in one run and told as ratios: `make bench`."""
