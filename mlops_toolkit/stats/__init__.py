"""Numbers from examples: metrics with influence vectors, paired differences, intervals, and the rule that turns one into a verdict."""
