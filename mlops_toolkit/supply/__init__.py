"""What proves where an image comes from: its bill of materials, statements of how it was made and judged, signatures, and their check."""
