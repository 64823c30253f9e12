"""External validation: a registered version on patients of another partition or database.

Nothing of it changes what is served or promoted.
"""
