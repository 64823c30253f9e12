"""What a treatment changes, for whom: estimators of the effect on each row.

Plain Python on arrays: neither scopes nor Dagster, and nothing of models that only predict.
"""
