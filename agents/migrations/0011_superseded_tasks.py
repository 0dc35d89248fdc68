import django.core.serializers.json
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add what a task that a newer one has cancelled leaves. Releases without these columns can go on inserting tasks."""

    dependencies = [
        ("agents", "0010_model_calls"),
    ]

    operations = [
        migrations.AddField(
            model_name="task",
            name="superseded",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.AddField(
            model_name="task",
            name="to_keep",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="task",
            name="kept",
            field=models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder, null=True),
        ),
    ]
