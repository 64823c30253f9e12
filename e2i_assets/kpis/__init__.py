"""Key performance indicators: their reviewed file, what they ask of the warehouse, and how they stand."""
