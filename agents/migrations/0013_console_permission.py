from django.db import migrations


class Migration(migrations.Migration):
    """Add the permission to use the console. No table changes."""

    dependencies = [
        ("agents", "0012_events"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="session",
            options={
                "permissions": (
                    ("act_for_any_user", "Can act for any user (service account)"),
                    ("view_system", "Can see the whole system"),
                    ("use_console", "Can use the console"),
                ),
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
            },
        ),
    ]
