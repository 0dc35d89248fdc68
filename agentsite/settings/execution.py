"""Leases, limits and retention of runs, in seconds unless noted. `manage.py check` compares the values."""

from agentsite.settings.base import env

TASK_HEARTBEAT_SECONDS = env.float("TASK_HEARTBEAT_SECONDS", default=10.0)
TASK_SWEEP_SECONDS = env.float("TASK_SWEEP_SECONDS", default=15.0)
TASK_REPUBLISH_SECONDS = env.float("TASK_REPUBLISH_SECONDS", default=60.0)
TASK_WALL_SECONDS = env.float("TASK_WALL_SECONDS", default=3600.0)
TASK_WALL_GRACE_SECONDS = 180.0  # for a run to notice, between two model calls, that its time is over
TASK_MAX_LAPSES = 3  # attempts in a row that died without a new checkpoint, before the task fails
TASK_MAX_QUEUED = 20  # tasks waiting in one session
TASK_MAX_REFUSALS = env.int("TASK_MAX_REFUSALS", default=3)  # of the same call (tool, arguments) in one task
ANSWER_MAX_CALLS = env.int("ANSWER_MAX_CALLS", default=50)  # tool calls in one answer of the model
GRAPH_RECURSION_LIMIT = env.int("GRAPH_RECURSION_LIMIT", default=50)  # steps of one task, across all its interrupts
TOOL_RESULT_LIMIT = 256 * 1024  # bytes of a tool's result that the model gets
# Size of one request to the model, in tokens as core.tokens estimates them. The first two together, with prompt,
# memories and tools, fit a context of 128,000; long tool results are shortened first.
CONVERSATION_TOKENS = env.int("CONVERSATION_TOKENS", default=32_000)  # of the session's earlier tasks; of one result
TASK_TOKENS = env.int("TASK_TOKENS", default=80_000)  # of the running task's own messages
MEMORY_TOKENS = env.int("MEMORY_TOKENS", default=2_500)  # of recalled memories in the system prompt, approximately
MEMORY_REVIEW = env.bool("MEMORY_REVIEW", default=False)  # True: everything an agent remembers needs approval

# Applies to an approved call whose approver is deactivated, or loses the right to decide it, before it runs:
# "stand" (it runs) or "ask_again" (it becomes a new review).
DECISIONS_OF_FORMER_REVIEWERS = env.str("DECISIONS_OF_FORMER_REVIEWERS", default="stand")

# Retention in days; 0 keeps rows forever. The workers' housekeeping deletes older rows once a day.

SESSION_RETENTION_DAYS = env.int("SESSION_RETENTION_DAYS", default=0)  # since a session's last change
JOB_RETENTION_DAYS = env.int("JOB_RETENTION_DAYS", default=30)  # Celery's results of failed jobs
KEY_RETENTION_DAYS = env.int("KEY_RETENTION_DAYS", default=90)  # API keys that were revoked or expired
MODEL_CALL_RETENTION_DAYS = env.int("MODEL_CALL_RETENTION_DAYS", default=365)  # single calls; their sums by day stay

# Days for which the checkpoints of an ended task are kept; 0: they are deleted as it ends. The sweeper deletes them in
# bulk, which costs a run less than a deletion of its own.
CHECKPOINT_RETENTION_DAYS = env.float("CHECKPOINT_RETENTION_DAYS", default=1.0)
