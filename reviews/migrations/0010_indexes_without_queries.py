import django.db.models.deletion
from django.db import migrations, models

from core.db.migrations import DropFieldIndex


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0009_indexes_without_queries"),
        ("reviews", "0009_indexes_for_lists"),
    ]

    operations = [
        DropFieldIndex(
            model_name="decision",
            name="review",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="decisions",
                to="agents.interrupt",
                verbose_name="review",
            ),
        ),
    ]
