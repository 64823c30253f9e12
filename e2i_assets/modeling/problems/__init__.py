"""Problem types, one module each; `base` says what one is. A new module is found by being here.

Each states its problem type as `PROBLEM` and what a scope file of such a question may say as `SCOPE`.
"""
