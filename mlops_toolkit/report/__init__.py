"""A Result made readable: comment, page, charts, summary, annotations, JUnit."""
