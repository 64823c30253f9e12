"""What is told beside the work, which never waits for it: spans, and the queue by which they leave.

Knows nothing else of ours, and imports little, for it travels in every Bento.
"""
