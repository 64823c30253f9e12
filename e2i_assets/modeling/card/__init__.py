"""The card of a model version: what a person reads who has to answer for it. Made of records alone."""
