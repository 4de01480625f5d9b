"""A Result made readable: comment, summary, annotations, charts, page, JUnit. Everything here is pure: a record in, text or bytes out."""
