"""Which of the twelve algorithms a question gets, and what each costs to serve."""
