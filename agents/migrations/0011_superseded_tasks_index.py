from django.db import migrations, models

from core.db.migrations import AddIndexOnline


class Migration(migrations.Migration):
    """Index the tasks whose messages are still to be kept. PostgreSQL builds it beside the service."""

    atomic = False

    dependencies = [
        ("agents", "0011_superseded_tasks"),
    ]

    operations = [
        AddIndexOnline(
            model_name="task",
            index=models.Index(condition=models.Q(("to_keep", True)), fields=["session"], name="task_to_keep"),
        ),
    ]
