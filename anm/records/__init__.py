"""Run records: their contents, reading, writing, collecting, and provenance."""
