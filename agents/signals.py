"""Signals for code outside the core. The core works without any receiver.

Each signal is sent with `send_robust` inside the transaction that it reports on, so that a receiver can store something
in the same transaction. A receiver that uses the database must do so in a savepoint: after its failure, PostgreSQL
would refuse the rest of the transaction.
"""

from django.dispatch import Signal

reviews_asked = Signal()  # reviews: the list of Interrupt rows that are new and open, all of one task
task_finished = Signal()  # task: Task, whose status is one of FINAL
budget_nearly_used = Signal()  # use: BudgetUse, task: Task, state: agents.state.budgets.State; once in a period
