from django.db import migrations, models

from agents.models.frozen_terms import FrozenTerm


class Migration(migrations.Migration):
    """Rewrites the table once (PostgreSQL: under a lock): the values come from the verdicts that are stored."""

    dependencies = [
        ("agents", "0005_worker_listened"),
    ]

    operations = [
        migrations.AddField(
            model_name="interrupt",
            name="deciders",
            field=models.GeneratedField(
                db_persist=True, expression=FrozenTerm("verdict_text", "deciders"), output_field=models.TextField()
            ),
        ),
        migrations.AddField(
            model_name="interrupt",
            name="distinct",
            field=models.GeneratedField(
                db_persist=True,
                expression=FrozenTerm("verdict_text", "distinct", output_field=models.BooleanField()),
                output_field=models.BooleanField(),
            ),
        ),
    ]
