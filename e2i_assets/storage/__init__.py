"""Where files are kept: a folder or object storage, opened by its URL, and the bundles that machines share.

What the files are is known above.
"""
