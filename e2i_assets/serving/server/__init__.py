"""The service: answers named features over HTTP with the models of one bundle, or of a whole release.

All of this folder travels inside every Bento, beside `one_row` and `file_hashes`, and knows no other module
of the package. The process that supervises the workers of `bentoml serve` imports it as well and never
predicts: what is heavy is imported by those who do.
"""
