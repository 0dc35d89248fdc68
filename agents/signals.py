"""What the outside world may be told of. Nothing here makes the core work: without a receiver nothing is missing.

Each is sent with `send_robust` inside the transaction that makes the fact, so that a receiver can write it down with
it. A receiver that touches the database does so in a savepoint: PostgreSQL would refuse the rest of the transaction
after its failure.
"""

from django.dispatch import Signal

reviews_asked = Signal()  # reviews: the list of Interrupt rows that are new and open, all of one task
task_finished = Signal()  # task: Task, whose status is one of FINAL
