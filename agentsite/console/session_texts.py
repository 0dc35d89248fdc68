"""Texts of the console's scripts, in the reader's language."""

from django.utils.translation import gettext as _


def texts() -> dict[str, str]:
    """Return the texts by name. Names with a dot belong to a value of the API, such as a status or an error code."""
    return {**_general(), **_of_tasks(), **_of_calls(), **_of_reviews(), **_of_errors()}


def _general() -> dict[str, str]:
    return {
        "connecting": _("Connecting…"),
        "again": _("The connection was lost. Connecting again…"),
        "connected": _("Connected"),
        "gone": _("The session was deleted, or is no longer yours to see."),
        "logged_out": _("You have been logged out."),
        "log_in": _("Log in again"),
        "no_sessions": _("No sessions yet."),
        "sent": _("Sent."),
    }


def _of_tasks() -> dict[str, str]:
    return {
        "status.pending": _("Pending"),
        "status.running": _("Running"),
        "status.interrupted": _("Interrupted"),
        "status.completed": _("Completed"),
        "status.error": _("Error"),
        "status.cancelled": _("Cancelled"),
        "status.not_found": _("Deleted"),
        "stop": _("Stop this task"),
        "task": _("task"),
        "usage": _("%(calls)s model calls, %(input)s tokens in, %(output)s tokens out"),
        "cost": _("%(cost)s %(currency)s"),
        "partial": _("not finished"),
        "reasoning": _("Reasoning"),
        "cut.length": _("[cut off: the output limit was reached]"),
        "cut.content_filter": _("[cut off: stopped by the endpoint's content filter]"),
        "cut.broken_off": _("[cut off: stopped by the endpoint]"),
        "type.human": _("user"),
        "type.ai": _("agent"),
        "type.tool": _("tool"),
        "type.system": _("system"),
        "type.custom": _("written by the graph"),
    }


def _of_calls() -> dict[str, str]:
    return {
        "call.requested": _("asked for"),
        "call.waiting": _("waits for a review"),
        "call.started": _("running…"),
        "call.succeeded": _("succeeded"),
        "call.failed": _("failed"),
        "call.answered": _("has a result"),
        "arguments": _("Arguments"),
        "result": _("Result (%(length)s characters)"),
    }


def _of_reviews() -> dict[str, str]:
    return {
        "kind.tool_call": _("May this call run?"),
        "kind.question": _("Question from the agent"),
        "kind.in_doubt": _("Outcome unknown"),
        "kind.budget": _("Budget used up"),
        "risk.low": _("low risk"),
        "risk.medium": _("medium risk"),
        "risk.high": _("high risk"),
        "expires": _("expires %(time)s"),
        "claimed": _("claimed by %(name)s"),
        "open_review": _("Open the review"),
        "edit_there": _("Open the review, to change the arguments"),
        "not_yours": _("You can't decide this review. The task waits for somebody who can."),
        "accept": _("Approve"),
        "reject": _("Reject"),
        "response": _("Answer instead"),
        "question.response": _("Answer"),
        "in_doubt.accept": _("Run it again"),
        "in_doubt.response": _("Mark as done"),
        "in_doubt.reject": _("Don't retry"),
        "budget.accept": _("Extend by its limit"),
        "budget.response": _("Finish"),
        "budget.reject": _("Cancel the task"),
        "reason": _("Reason (optional, the agent reads it)"),
        "answer": _("Your answer, in place of the tool's result"),
        "question.answer": _("Your answer"),
        "in_doubt.answer": _("What happened: the agent reads it as the result"),
        "budget.reason": _("Reason for cancelling"),
        "budget.answer": _("What the model is told for its last answer, without tools"),
        "certain": _("This call has a high risk. Approve it?"),
        "yes": _("Yes, approve"),
        "back": _("Back"),
        "decided.pending": _("Pending"),
        "decided.approved": _("Approved"),
        "decided.edited": _("Edited"),
        "decided.responded": _("Responded"),
        "decided.rejected": _("Rejected"),
        "decided.expired": _("Expired"),
        "decided.cancelled": _("Cancelled"),
        "by": _("by %(name)s"),
        "first": _("Somebody else was faster: nothing of yours was stored."),
        "waits": _("A review waits: %(name)s"),
    }


def _of_errors() -> dict[str, str]:
    return {
        "error.offline": _("The server can't be reached. Your text is still here; try again."),
        "error.unknown": _("The server could not do this (error %(status)s)."),
        "error.session_busy": _("The session has an unfinished task."),
        "error.queue_full": _("Too many tasks are waiting in this session."),
        "error.too_many_tasks": _("Too many tasks are unfinished."),
        "error.rate_limited": _("Too many requests. Wait a little, then try again."),
        "error.not_found": _("It doesn't exist, or belongs to somebody else."),
        "error.not_allowed": _("You don't have permission to do this."),
        "error.already_decided": _("This review has already been decided."),
        "error.stale": _("The review has changed since you opened it. Read it again before you decide."),
        "error.not_open": _("This review is no longer open."),
        "error.invalid": _("The input is not valid."),
    }
