"""The user of a task beside its session, and the indexes that count what is in flight."""

from typing import Any

from django.conf import settings
from django.db import migrations, models


def take_over_users(apps: Any, schema_editor: Any) -> None:
    session = apps.get_model("agents", "Session").objects.filter(pk=models.OuterRef("session"))
    apps.get_model("agents", "Task").objects.update(user_id=models.Subquery(session.values("user_id")))


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="user_id",
            field=models.CharField(default="", editable=False, max_length=128),
            preserve_default=False,
        ),
        migrations.RunPython(take_over_users, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["user_id", "status"], name="task_flight_user"),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(fields=["submitted_by", "status"], name="task_flight_principal"),
        ),
    ]
