"""Named queries: what the platform asks of its records and writes into them, a module for each subject.

Nobody outside the warehouse writes SQL or knows a record's table; what is asked for has a name here.
"""
