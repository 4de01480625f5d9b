"""Everything that is generated from the one definition: JSON Schema, action.yml files, reference pages. Nothing here runs in a verb."""
