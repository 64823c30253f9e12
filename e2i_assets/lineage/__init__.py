"""Where a registered model comes from, whether it can be made again, and what may go.

Read of records and kept artifacts; nothing here publishes.
"""
