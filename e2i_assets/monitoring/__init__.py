"""Watching what is live: whether data and models are still what they were, whom to tell, when to retrain."""
