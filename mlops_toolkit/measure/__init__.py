"""`mlops measure`: run a command for the baseline's model and this run's in turn, so that what slows the machine slows both."""
